//! What the store promises, on both engines.

use coachbot_common::id::{WorkspaceId, new_id};
use coachbot_common::suite;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::*;
use crate::conversation::{Channel, ConversationId, MessageStatus, Owner};
use crate::escalation::Reason;
use crate::intent::{Payload, Purpose, State};
use crate::keyword::keyword;
use crate::lead::{Address, LeadId, Source, Stage};
use crate::settings::Settings;

fn at(seconds: i64) -> Timestamp {
    "2026-11-25T12:00:00.123456Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

async fn known(store: &Store) -> WorkspaceId {
    let facts = Workspace {
        id: WorkspaceId::from_uuid(new_id(at(0))),
        name: "Northside".to_owned(),
        channel: Channel::Whatsapp,
        timezone: "Europe/London".to_owned(),
    };
    store.put_workspace(&facts, 1).await.unwrap();
    facts.id
}

async fn write(
    store: &Store,
    workspace: WorkspaceId,
    number: u32,
    text: &str,
    seconds: i64,
) -> (LeadId, ConversationId) {
    let inbound = Inbound {
        workspace,
        provider_message_id: format!("SM{number}-{seconds}-{text}"),
        from: Address::parse(&format!("whatsapp:+4477009{number:05}")).unwrap(),
        external_user_id: None,
        profile_name: None,
        text: text.to_owned(),
        keyword: keyword(text),
        received_at: at(seconds),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    };
    store.ingest_message(&inbound, at(seconds)).await.unwrap()
}

async fn claim(store: &Store, seconds: i64) -> Run {
    let mut runs = store.claim_runs(at(seconds), at(seconds + 10), 10).await.unwrap();
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

async fn statuses(store: &Store, workspace: WorkspaceId, conversation: ConversationId) -> Vec<MessageStatus> {
    let talk = store.find_conversation(workspace, conversation, at(0)).await.unwrap().unwrap();
    talk.messages.iter().map(|message| message.status).collect()
}

async fn older_facts_are_ignored_and_a_deleted_workspace_stays_so(store: Store) {
    let id = known(&store).await;
    let mut facts = store.find_workspace(id).await.unwrap().unwrap();
    facts.name = "Southside".to_owned();
    store.put_workspace(&facts, 3).await.unwrap();
    let newer = facts.clone();
    facts.name = "Late".to_owned();
    store.put_workspace(&facts, 2).await.unwrap();
    assert_eq!(store.find_workspace(id).await.unwrap(), Some(newer));
    store.delete_workspace(id).await.unwrap();
    store.put_workspace(&facts, 4).await.unwrap();
    assert_eq!(store.find_workspace(id).await.unwrap(), None);
    store
        .put_settings(id, &Settings { language: "de".to_owned(), ..Settings::default() }, at(0))
        .await
        .unwrap();
    assert_eq!(store.find_settings(id).await.unwrap(), Settings::default());
}

async fn settings_are_the_defaults_until_they_are_saved(store: Store) {
    let id = known(&store).await;
    assert_eq!(store.find_settings(id).await.unwrap(), Settings::default());
    let saved = Settings { persona: "Zoë 👍".to_owned(), debounce_milliseconds: 0, ..Settings::default() };
    store.put_settings(id, &saved, at(1)).await.unwrap();
    assert_eq!(store.find_settings(id).await.unwrap(), saved);
}

async fn deleting_a_workspace_leaves_nothing_of_it_and_all_of_the_others(store: Store) {
    let (gone, kept) = (known(&store).await, known(&store).await);
    write(&store, gone, 1, "Hi", 0).await;
    let (lead, _) = write(&store, kept, 1, "Hi", 0).await;
    store.delete_workspace(gone).await.unwrap();
    let page = Page { limit: 10, after: None };
    assert_eq!(store.list_leads(gone, page).await.unwrap().items, []);
    assert_eq!(store.list_leads(kept, page).await.unwrap().items[0].id, lead);
    assert_eq!(store.claim_runs(at(9), at(19), 10).await.unwrap().len(), 1);
}

async fn an_ingest_is_one_commit_and_moves_the_timer(store: Store) {
    let id = known(&store).await;
    let before = store.commits();
    write(&store, id, 1, "Hi", 0).await;
    assert_eq!(store.commits() - before, 1);
    write(&store, id, 1, "there", 1).await;
    assert_eq!(store.claim_runs(at(2), at(12), 10).await.unwrap(), []);
    assert_eq!(store.commits() - before, 2, "a look that finds nothing commits nothing");
    assert_eq!(store.next_due().await.unwrap(), Some(at(1) + SignedDuration::from_millis(1500)));
    let run = claim(&store, 3).await;
    let context = store.load_run(&run).await.unwrap().unwrap();
    assert_eq!((context.messages.len(), context.standing.turn), (2, 2));
    assert_eq!(run.traceparent.as_deref(), Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
}

async fn a_stale_fence_writes_nothing(store: Store) {
    let id = known(&store).await;
    write(&store, id, 1, "Hi", 0).await;
    let stale = claim(&store, 2).await;
    assert_eq!(store.claim_runs(at(11), at(21), 10).await.unwrap(), [], "the lease holds");
    let fresh = claim(&store, 12).await;
    let (none, parts) = (Progress::default(), ["Hello!".to_owned()]);
    for outcome in [
        store.advance_run(&stale, &none, at(13), at(23)).await,
        store.finish_run(&stale, &none, 1, at(13)).await,
        store.hand_off(&stale, &none, Reason::PersonNeeded, 1, at(13)).await,
        store.postpone_run(&stale, at(20), at(13)).await,
        store.park_run(&stale, at(23)).await.map(drop),
        store.reply(&stale, &none, &parts, 1, at(13), at(23)).await.map(drop),
    ] {
        assert!(matches!(outcome, Err(StoreError::Overtaken)), "{outcome:?}");
    }
    assert!(!store.renew_run(&stale, at(23)).await.unwrap());
    let outcome = store.reply(&fresh, &none, &parts, 1, at(13), at(23)).await.unwrap();
    assert!(matches!(outcome, ReplyOutcome::Sending(_)), "{outcome:?}");
}

async fn of_many_claimers_one_has_it(store: Store) {
    let id = known(&store).await;
    for number in 0..20 {
        write(&store, id, number, "Hi", 0).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move { store.claim_runs(at(2), at(12), 7).await.unwrap() });
    }
    let mut claimed: Vec<_> = tasks.join_all().await.into_iter().flatten().map(|run| run.id).collect();
    let count = claimed.len();
    claimed.sort();
    claimed.dedup();
    assert_eq!((count, claimed.len()), (20, 20));
}

async fn sending_is_refused_once_the_conversation_is_not_the_bots(store: Store) {
    let id = known(&store).await;
    let (_, conversation) = write(&store, id, 1, "Hi", 0).await;
    let run = claim(&store, 2).await;
    write(&store, id, 1, "STOP", 3).await;
    let outcome = store.reply(&run, &Progress::default(), &["Hello!".to_owned()], 1, at(4), at(14)).await;
    assert!(matches!(outcome, Err(StoreError::Overtaken)), "{outcome:?}");
    assert_eq!(
        statuses(&store, id, conversation).await,
        [MessageStatus::Received, MessageStatus::Received, MessageStatus::Planned]
    );
    let stop = store.claim_intents(at(4), at(14), 10).await.unwrap();
    assert_eq!(stop.iter().map(|intent| intent.purpose).collect::<Vec<_>>(), [Purpose::Stop]);
    assert!(matches!(store.begin_intent(&stop[0], at(4), at(14)).await.unwrap(), Begun::Go(_)));
}

async fn a_part_follows_its_predecessor_only(store: Store) {
    let id = known(&store).await;
    let (_, conversation) = write(&store, id, 1, "Hi", 0).await;
    let run = claim(&store, 2).await;
    let parts = ["One".to_owned(), "Two".to_owned()];
    let outcome = store.reply(&run, &Progress::default(), &parts, 1, at(2), at(12)).await.unwrap();
    let ReplyOutcome::Sending(first) = outcome else { panic!("{outcome:?}") };
    assert_eq!(store.claim_intents(at(3), at(13), 10).await.unwrap(), []);
    let accepted =
        Settled::Accepted { provider_id: "SM1".to_owned(), status: MessageStatus::Accepted, failure: None };
    store.settle_intent(&first, &accepted, at(3)).await.unwrap();
    let second = store.claim_intents(at(3), at(13), 10).await.unwrap();
    assert!(matches!(&second[0].payload, Payload::Text { body, .. } if body == "Two"));
    assert_eq!(second[0].state, State::Planned);
    // Its refusal is not repeated by what comes later.
    let failed = Settled::Failed { code: "63007".to_owned(), message: "x".to_owned(), escalation: None };
    store.settle_intent(&second[0], &failed, at(3)).await.unwrap();
    store.settle_intent(&second[0], &Settled::Dropped, at(3)).await.unwrap();
    assert_eq!(
        statuses(&store, id, conversation).await,
        [MessageStatus::Received, MessageStatus::Accepted, MessageStatus::Failed]
    );
}

async fn an_escalation_is_open_once_for_each_reason(store: Store) {
    let id = known(&store).await;
    write(&store, id, 1, "Hi", 0).await;
    let run = claim(&store, 2).await;
    let twice = Progress {
        escalations: vec![Reason::CalendarNotConnected, Reason::CalendarNotConnected],
        ..Progress::default()
    };
    store.advance_run(&run, &twice, at(3), at(13)).await.unwrap();
    store.hand_off(&run, &twice, Reason::PersonNeeded, 1, at(3)).await.unwrap();
    let found = store.list_escalations(id, Page { limit: 10, after: None }).await.unwrap().items;
    let mut reasons: Vec<_> = found.iter().map(|row| row.reason.word()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["CALENDAR_NOT_CONNECTED", "PERSON_NEEDED"]);
    let page = Page { limit: 1, after: None };
    let talk = store.list_conversations(id, page, at(3)).await.unwrap().items.remove(0);
    assert_eq!(talk.owner, Owner::Nobody);
}

async fn a_submission_is_taken_once_and_a_phone_is_one_lead(store: Store) {
    let id = known(&store).await;
    let new = NewLead {
        workspace: id,
        submission_id: "one".to_owned(),
        source: Source::Form,
        name: "Anna".to_owned(),
        phone: Some("+447700900001".to_owned()),
        email: None,
        details: json!({}),
        received_at: at(0),
        traceparent: None,
    };
    let first = store.ingest_lead(&new, at(0)).await.unwrap().lead;
    let (writer, _) = write(&store, id, 1, "Hi", 1).await;
    assert_eq!(first, writer, "the same number");
    let again = NewLead { submission_id: "two".to_owned(), ..new.clone() };
    assert_eq!(store.ingest_lead(&new, at(2)).await.unwrap().lead, first);
    assert_eq!(store.ingest_lead(&again, at(2)).await.unwrap().lead, first);
    let lead = store.find_lead(id, first).await.unwrap().unwrap();
    assert_eq!((lead.stage, lead.source), (Stage::New, Source::Form));
}

async fn deleting_a_lead_leaves_nothing_of_theirs(store: Store) {
    let id = known(&store).await;
    let (lead, conversation) = write(&store, id, 1, "Hi", 0).await;
    let run = claim(&store, 2).await;
    assert!(store.delete_lead(id, lead).await.unwrap());
    assert!(!store.delete_lead(id, lead).await.unwrap());
    assert!(store.find_conversation(id, conversation, at(3)).await.unwrap().is_none());
    let outcome = store.advance_run(&run, &Progress::default(), at(3), at(13)).await;
    assert!(matches!(outcome, Err(StoreError::Overtaken)));
    // The same person comes back as somebody new.
    assert_ne!(write(&store, id, 1, "Hi", 0).await.0, lead);
}

suite!(
    Store::new,
    MIGRATIONS,
    [
        older_facts_are_ignored_and_a_deleted_workspace_stays_so,
        settings_are_the_defaults_until_they_are_saved,
        deleting_a_workspace_leaves_nothing_of_it_and_all_of_the_others,
        an_ingest_is_one_commit_and_moves_the_timer,
        a_stale_fence_writes_nothing,
        of_many_claimers_one_has_it,
        sending_is_refused_once_the_conversation_is_not_the_bots,
        a_part_follows_its_predecessor_only,
        an_escalation_is_open_once_for_each_reason,
        a_submission_is_taken_once_and_a_phone_is_one_lead,
        deleting_a_lead_leaves_nothing_of_theirs,
    ]
);
