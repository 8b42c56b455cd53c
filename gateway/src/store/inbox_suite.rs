//! What the inbox, the quarantine, forms and facts promise, on both engines.

use coachbot_common::id::{WorkspaceId, new_id};
use coachbot_common::suite;
use coachbot_integrations::Channel;
use jiff::{SignedDuration, Timestamp};

use super::{
    Arrival, Bounds, Facts, Form, FormId, Hash, InboxKind, Lease, MIGRATIONS, NewOwner, Quarantined, Setback,
    Store, UserId, Waiting, Workspace, WorkspaceChange,
};

fn now() -> Timestamp {
    "2026-11-25T12:00:00.123456Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn lease() -> Lease {
    Lease::from_uuid(new_id(now()))
}

fn form_id() -> FormId {
    FormId::from_uuid(new_id(now()))
}

const ROOMY: Bounds = Bounds { workspace: 10, all: 20 };

async fn owner(store: &Store) -> UserId {
    let owner = NewOwner { user: UserId::from_uuid(new_id(now())), key: None };
    store.claim(&[owner], now()).await.unwrap();
    store.first_owner().await.unwrap().unwrap()
}

async fn workspace_of(store: &Store, user: UserId) -> (WorkspaceId, FormId) {
    let workspace = Workspace {
        id: WorkspaceId::from_uuid(new_id(now())),
        name: "Acme".to_owned(),
        channel: Channel::Whatsapp,
        timezone: "Europe/London".to_owned(),
        created_at: now(),
    };
    let form = form_id();
    store.insert_workspace(user, &workspace, form).await.unwrap();
    (workspace.id, form)
}

async fn workspace(store: &Store) -> WorkspaceId {
    let user = owner(store).await;
    workspace_of(store, user).await.0
}

fn arrival(workspace: WorkspaceId, key: &str, lane: u8) -> Arrival {
    Arrival {
        workspace,
        kind: InboxKind::TwilioMessage,
        key: key.to_owned(),
        intent: None,
        lane: [lane; 32],
        payload: format!("Body={key}").into_bytes(),
        received_at: now(),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
    }
}

async fn keep(store: &Store, workspace: WorkspaceId, key: &str, lane: u8) {
    assert!(store.insert_arrival(&arrival(workspace, key, lane), None).await.unwrap());
}

async fn claim(store: &Store, lease: Lease, at: Timestamp) -> Vec<Waiting> {
    store.claim_inbox(lease, at, at + SignedDuration::from_secs(20), 100).await.unwrap()
}

fn keys(rows: &[Waiting]) -> Vec<&str> {
    rows.iter().map(|row| row.key.as_str()).collect()
}

async fn what_comes_twice_is_stored_once(store: Store) {
    let workspace = workspace(&store).await;
    let copies: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(
                async move { store.insert_arrival(&arrival(workspace, "SM1", 1), None).await.unwrap() },
            )
        })
        .collect();
    let mut new = 0;
    for copy in copies {
        new += u32::from(copy.await.unwrap());
    }
    assert_eq!(new, 1);
    let status = Arrival { kind: InboxKind::TwilioStatus, ..arrival(workspace, "SM1", 2) };
    assert!(store.insert_arrival(&status, None).await.unwrap());

    let first = lease();
    let rows = claim(&store, first, now()).await;
    let row = rows.iter().find(|row| row.kind == InboxKind::TwilioMessage).unwrap();
    let sent = arrival(workspace, "SM1", 1);
    assert_eq!((&row.payload, row.received_at, &row.traceparent), (&sent.payload, now(), &sent.traceparent));
    assert_eq!((row.workspace, row.attempts, rows.len()), (workspace, 1, 2));
    store.settle_inbox(first, &[], later(1)).await.unwrap();
    // A copy that comes late is known too.
    assert!(!store.insert_arrival(&sent, None).await.unwrap());
    assert!(claim(&store, lease(), later(100)).await.is_empty());
}

async fn a_lane_keeps_its_order_and_others_go_on(store: Store) {
    let workspace = workspace(&store).await;
    for (key, lane) in [("SM1", 1), ("SM2", 1), ("SM3", 2), ("SM4", 1)] {
        keep(&store, workspace, key, lane).await;
    }
    let first = lease();
    let rows = claim(&store, first, now()).await;
    assert_eq!(keys(&rows), ["SM1", "SM3"]);
    // Nobody gets what is held, nor what is behind it.
    assert!(claim(&store, lease(), later(1)).await.is_empty());
    store.settle_inbox(first, &[(rows[0].number, Setback::Later(later(10)))], later(1)).await.unwrap();
    assert!(claim(&store, lease(), later(9)).await.is_empty());
    let nobody = lease();
    let rows = claim(&store, nobody, later(10)).await;
    assert_eq!((keys(&rows), rows[0].attempts), (vec!["SM1"], 2));
    store.settle_inbox(nobody, &[(rows[0].number, Setback::Untried)], later(10)).await.unwrap();
    let second = lease();
    let rows = claim(&store, second, later(10)).await;
    assert_eq!((keys(&rows), rows[0].attempts), (vec!["SM1"], 2));
    store.settle_inbox(second, &[(rows[0].number, Setback::Refused)], later(11)).await.unwrap();
    let third = lease();
    assert_eq!(keys(&claim(&store, third, later(11)).await), ["SM2"]);
    store.settle_inbox(third, &[], later(12)).await.unwrap();
    assert_eq!(keys(&claim(&store, lease(), later(12)).await), ["SM4"]);
}

async fn of_two_that_claim_at_once_each_row_goes_to_one(store: Store) {
    let workspace = workspace(&store).await;
    for number in 0..40_u8 {
        keep(&store, workspace, &format!("SM{number}"), number).await;
    }
    let claims: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.claim_inbox(lease(), now(), later(20), 10).await.unwrap() })
        })
        .collect();
    let mut numbers = Vec::new();
    for claim in claims {
        numbers.extend(claim.await.unwrap().into_iter().map(|row| row.number));
    }
    let claimed = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), claimed);
    assert!(claimed >= 10, "{claimed}");
}

async fn a_lease_that_ran_out_settles_nothing(store: Store) {
    let workspace = workspace(&store).await;
    keep(&store, workspace, "SM1", 1).await;
    let lost = lease();
    assert_eq!(claim(&store, lost, now()).await.len(), 1);
    let second = lease();
    assert_eq!(keys(&claim(&store, second, later(20)).await), ["SM1"]);
    store.settle_inbox(lost, &[], later(21)).await.unwrap();
    store.release_inbox(second, later(22)).await.unwrap();
    assert_eq!(keys(&claim(&store, lease(), later(22)).await), ["SM1"]);
    // A process that is alone on the database takes over at its start.
    store.release_all_of_inbox(later(23)).await.unwrap();
    assert!(store.inbox_is_due(later(23)).await.unwrap());
    assert_eq!(keys(&claim(&store, lease(), later(23)).await), ["SM1"]);
}

async fn what_is_stored_with_a_lease_is_left_to_its_holder(store: Store) {
    let workspace = workspace(&store).await;
    let own = lease();
    let submission = Arrival { kind: InboxKind::FormSubmission, ..arrival(workspace, "form", 1) };
    assert!(store.insert_arrival(&submission, Some((own, later(10)))).await.unwrap());
    assert!(!store.inbox_is_due(later(9)).await.unwrap());
    assert!(claim(&store, lease(), later(9)).await.is_empty());
    store.settle_inbox(own, &[], later(9)).await.unwrap();
    assert!(claim(&store, lease(), later(100)).await.is_empty());

    let refused = lease();
    let submission = Arrival { key: "other".to_owned(), ..submission };
    assert!(store.insert_arrival(&submission, Some((refused, later(10)))).await.unwrap());
    store.refuse_inbox(refused, later(1)).await.unwrap();
    assert!(claim(&store, lease(), later(100)).await.is_empty());
}

async fn what_was_handed_on_is_kept_a_while_and_forgotten(store: Store) {
    let workspace = workspace(&store).await;
    keep(&store, workspace, "SM1", 1).await;
    let first = lease();
    claim(&store, first, now()).await;
    store.settle_inbox(first, &[], later(1)).await.unwrap();
    keep(&store, workspace, "SM2", 1).await;
    assert_eq!(store.forget_handed_on(later(1), 100).await.unwrap(), 0);
    assert!(!store.insert_arrival(&arrival(workspace, "SM1", 1), None).await.unwrap());
    assert_eq!(store.forget_handed_on(later(2), 100).await.unwrap(), 1);
    assert!(store.insert_arrival(&arrival(workspace, "SM1", 1), None).await.unwrap());
    assert_eq!(keys(&claim(&store, lease(), later(1)).await), ["SM2"]);
}

async fn quarantine(store: &Store, arrival: &Arrival, digest: u8, bounds: Bounds) -> Quarantined {
    let digest: Hash = [digest; 32];
    store.quarantine(arrival, "/target", &[7; 20], &digest, bounds).await.unwrap()
}

async fn what_is_unverified_has_no_effect_until_it_is_released(store: Store) {
    let workspace = workspace(&store).await;
    let sent = arrival(workspace, "SM1", 1);
    assert_eq!(quarantine(&store, &sent, 1, ROOMY).await, Quarantined::Kept);
    assert_eq!(quarantine(&store, &sent, 1, ROOMY).await, Quarantined::Known);
    // A forged copy takes nobody's place.
    assert_eq!(quarantine(&store, &sent, 2, ROOMY).await, Quarantined::Kept);
    keep(&store, workspace, "SM2", 1).await;
    assert!(claim(&store, lease(), later(1)).await.is_empty(), "it is behind what is unverified");

    assert_eq!(store.workspaces_in_quarantine(now(), 10).await.unwrap(), [workspace]);
    let rows = store.unverified(workspace, 10).await.unwrap();
    assert_eq!(
        (rows.len(), rows[0].target.as_str(), rows[0].signature.as_slice()),
        (2, "/target", &[7; 20][..])
    );
    assert_eq!(rows[0].payload, sent.payload);
    store.postpone_quarantine(workspace, later(15)).await.unwrap();
    assert!(store.workspaces_in_quarantine(later(14), 10).await.unwrap().is_empty());

    store.release_from_quarantine(workspace, rows[0].number, later(2)).await.unwrap();
    assert!(store.discard_unverified(workspace, rows[1].number).await.unwrap());
    assert!(!store.discard_unverified(workspace, rows[1].number).await.unwrap());
    assert!(!store.discard_unverified(workspace, rows[0].number).await.unwrap(), "it is genuine by now");
    let first = lease();
    assert_eq!(keys(&claim(&store, first, later(2)).await), ["SM1"]);
    store.settle_inbox(first, &[], later(3)).await.unwrap();
    assert_eq!(keys(&claim(&store, lease(), later(3)).await), ["SM2"]);
}

async fn what_was_verified_meanwhile_is_there_once(store: Store) {
    let workspace = workspace(&store).await;
    let sent = arrival(workspace, "SM1", 1);
    quarantine(&store, &sent, 1, ROOMY).await;
    keep(&store, workspace, "SM1", 1).await;
    let rows = store.unverified(workspace, 10).await.unwrap();
    store.release_from_quarantine(workspace, rows[0].number, later(1)).await.unwrap();
    assert!(store.unverified(workspace, 10).await.unwrap().is_empty());
    assert_eq!(keys(&claim(&store, lease(), later(1)).await), ["SM1"]);
}

async fn the_quarantine_has_bounds(store: Store) {
    let user = owner(&store).await;
    let (one, _) = workspace_of(&store, user).await;
    let (other, _) = workspace_of(&store, user).await;
    let bounds = Bounds { workspace: 2, all: 3 };
    let put = async |workspace, key: &str| quarantine(&store, &arrival(workspace, key, 1), 1, bounds).await;
    assert_eq!(put(one, "SM1").await, Quarantined::Kept);
    assert_eq!(put(one, "SM2").await, Quarantined::Kept);
    assert_eq!(put(one, "SM3").await, Quarantined::Full);
    assert_eq!(put(one, "SM2").await, Quarantined::Known);
    assert_eq!(put(other, "SM4").await, Quarantined::Kept);
    assert_eq!(put(other, "SM5").await, Quarantined::Full);
    store.mark_for_deletion(user, other, later(1)).await.unwrap();
    assert_eq!(store.workspaces_in_quarantine(now(), 10).await.unwrap(), [one]);
    assert_eq!(put(other, "SM6").await, Quarantined::Full);
}

async fn a_workspace_that_is_deleted_takes_its_rows_with_it(store: Store) {
    let user = owner(&store).await;
    let (workspace, form) = workspace_of(&store, user).await;
    keep(&store, workspace, "SM1", 1).await;
    store.mark_for_deletion(user, workspace, later(1)).await.unwrap();
    assert!(claim(&store, lease(), later(1)).await.is_empty());
    assert!(!store.insert_arrival(&arrival(workspace, "SM2", 1), None).await.unwrap());
    assert_eq!(store.form(form).await.unwrap(), None);
    assert_eq!(store.channel_of(workspace).await.unwrap(), None);
    assert!(store.untold_facts(10).await.unwrap().is_empty());
    assert!(!store.facts_were_told(workspace, 1).await.unwrap());
    store.forget_workspace(workspace).await.unwrap();
    assert!(!store.inbox_is_due(later(100)).await.unwrap());
}

async fn every_workspace_has_one_form(store: Store) {
    let user = owner(&store).await;
    let (workspace, form) = workspace_of(&store, user).await;
    assert_eq!(store.forms(workspace, form_id(), now()).await.unwrap(), [form]);
    let found = store.form(form).await.unwrap().unwrap();
    let expected =
        Form { id: form, workspace, workspace_name: "Acme".to_owned(), channel: Channel::Whatsapp };
    assert_eq!(found, expected);
    assert_eq!(store.form(form_id()).await.unwrap(), None);
}

async fn a_workspace_that_is_older_than_forms_gets_one_when_it_is_asked(store: Store) {
    let user = owner(&store).await;
    let (workspace, _) = workspace_of(&store, user).await;
    coachbot_common::db::execute!(store.db, sqlx::query("DELETE FROM forms")).unwrap();
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.forms(workspace, form_id(), now()).await.unwrap() })
        })
        .collect();
    let mut forms = Vec::new();
    for one in asked {
        forms.extend(one.await.unwrap());
    }
    forms.dedup();
    assert_eq!(forms.len(), 1);
}

async fn facts_are_told_by_version_until_they_are(store: Store) {
    let user = owner(&store).await;
    let (workspace, _) = workspace_of(&store, user).await;
    let facts = |name: &str, version| Facts {
        workspace,
        name: name.to_owned(),
        channel: Channel::Whatsapp,
        timezone: "Europe/London".to_owned(),
        version,
    };
    assert_eq!(store.untold_facts(10).await.unwrap(), [facts("Acme", 1)]);
    let change = WorkspaceChange { name: Some("New"), timezone: None };
    store.update_workspace(user, workspace, change).await.unwrap();
    assert!(store.facts_were_told(workspace, 1).await.unwrap());
    assert_eq!(store.untold_facts(10).await.unwrap(), [facts("New", 2)]);
    assert!(store.facts_were_told(workspace, 2).await.unwrap());
    // An answer that comes late takes nothing back.
    assert!(store.facts_were_told(workspace, 1).await.unwrap());
    assert!(store.untold_facts(10).await.unwrap().is_empty());
    assert_eq!(store.facts_of(workspace).await.unwrap(), Some(facts("New", 2)));
    store.tell_facts_again(workspace).await.unwrap();
    assert_eq!(store.untold_facts(10).await.unwrap(), [facts("New", 2)]);
}

suite!(
    Store::new,
    MIGRATIONS,
    [
        what_comes_twice_is_stored_once,
        a_lane_keeps_its_order_and_others_go_on,
        of_two_that_claim_at_once_each_row_goes_to_one,
        a_lease_that_ran_out_settles_nothing,
        what_is_stored_with_a_lease_is_left_to_its_holder,
        what_was_handed_on_is_kept_a_while_and_forgotten,
        what_is_unverified_has_no_effect_until_it_is_released,
        what_was_verified_meanwhile_is_there_once,
        the_quarantine_has_bounds,
        a_workspace_that_is_deleted_takes_its_rows_with_it,
        every_workspace_has_one_form,
        a_workspace_that_is_older_than_forms_gets_one_when_it_is_asked,
        facts_are_told_by_version_until_they_are,
    ]
);
