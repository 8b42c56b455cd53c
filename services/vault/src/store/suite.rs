//! What the store promises, on both engines.

use std::collections::BTreeMap;

use coachbot_common::id::{WorkspaceId, new_id};
use coachbot_common::suite;
use coachbot_integrations::Provider;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::integration::{Probe, Subject, Verification, Warning};

fn at(second: i64) -> Timestamp {
    "2026-11-25T12:00:00.123456Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn workspace() -> WorkspaceId {
    WorkspaceId::from_uuid(new_id(at(0)))
}

fn subject(provider: Provider) -> Subject {
    Subject { workspace: workspace(), provider }
}

/// Key ids are told apart by their first byte.
fn id(number: u8) -> KeyId {
    KeyId::from_bytes([number, 0x5a, 0, 0xff, 1, 2, 3, number])
}

fn enrolled(number: u8) -> EnrolledKey {
    EnrolledKey { key_id: id(number), key_check: vec![number; 16], canary: vec![number; 114] }
}

fn data_key(number: u8, version: u64) -> DataKey {
    DataKey { version, key_id: id(number), platform_key_id: id(0x77), sealed: vec![number; 138] }
}

fn record(from_revision: u64, mark: u8) -> NewRecord {
    NewRecord {
        from_revision,
        encrypted_data: vec![mark; 200],
        shown_fields: BTreeMap::from([("api_key".to_owned(), format!("sk-…{mark}"))]),
    }
}

fn verification(message: &str) -> Verification {
    Verification {
        verdict: "VERDICT_NOT_FOUND".to_owned(),
        field: Some("model".to_owned()),
        message: message.to_owned(),
        fix: None,
        checked_at: at(40),
        probes: vec![Probe { name: "models".to_owned(), http_status: Some(404), milliseconds: 71 }],
        warnings: vec![Warning { code: "TRIAL_ACCOUNT".to_owned(), message: "£ 👍".to_owned() }],
    }
}

fn token(generation: u64, hash: u8) -> NewToolToken {
    NewToolToken { generation, sealed: vec![hash; 153], hash: [hash; 32], hint: format!("cbt_…{hash}") }
}

async fn save(store: &Store, subject: Subject, from_revision: u64, mark: u8) {
    let key = data_key(9, 1);
    let under = match store.find_data_key(subject.workspace).await.unwrap() {
        None => SealedUnder::Fresh(&key),
        Some(stored) => SealedUnder::Stored(stored.key_id),
    };
    store.save_record(subject, &record(from_revision, mark), under, at(1)).await.unwrap();
}

async fn the_first_platform_key_is_enrolled_and_no_second(store: Store) {
    assert_eq!(store.find_platform_key().await.unwrap(), None);
    assert!(store.is_empty().await.unwrap());
    assert!(store.enrol_platform_key(&enrolled(1), at(0)).await.unwrap());
    assert!(!store.enrol_platform_key(&enrolled(2), at(1)).await.unwrap());
    assert!(!store.enrol_platform_key(&enrolled(1), at(1)).await.unwrap());
    assert_eq!(store.find_platform_key().await.unwrap(), Some(enrolled(1)));
    assert!(!store.is_empty().await.unwrap());
}

async fn of_many_keys_enrolled_at_once_one_wins(store: Store) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..12 {
        let store = store.clone();
        tasks.spawn(async move {
            let won = store.enrol_platform_key(&enrolled(number), at(0)).await.unwrap();
            (won, number, store.find_platform_key().await.unwrap().unwrap())
        });
    }
    let outcomes = tasks.join_all().await;
    let winners: Vec<_> = outcomes.iter().filter(|(won, ..)| *won).map(|(_, number, _)| *number).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    for (_, _, seen) in outcomes {
        assert_eq!(seen, enrolled(winners[0]));
    }
}

async fn no_key_is_enrolled_over_data_that_has_lost_its_keyring(store: Store) {
    save(&store, subject(Provider::Openai), 0, 3).await;
    assert!(!store.enrol_platform_key(&enrolled(1), at(0)).await.unwrap());
    assert_eq!(store.find_platform_key().await.unwrap(), None);
    assert!(!store.is_empty().await.unwrap());
    assert_eq!(store.any_platform_key_in_use().await.unwrap(), Some(id(0x77)));
}

async fn workspaces_that_need_another_key_are_named(store: Store) {
    let (one, other) = (subject(Provider::Openai), subject(Provider::Openai));
    save(&store, one, 0, 3).await;
    let foreign = DataKey { platform_key_id: id(0x10), ..data_key(8, 1) };
    store.save_record(other, &record(0, 4), SealedUnder::Fresh(&foreign), at(1)).await.unwrap();
    assert_eq!(store.workspaces_needing_another_key(id(0x77)).await.unwrap(), [other.workspace]);
    assert_eq!(store.workspaces_needing_another_key(id(0x10)).await.unwrap(), [one.workspace]);
    let mut both = vec![one.workspace, other.workspace];
    both.sort();
    assert_eq!(store.workspaces_needing_another_key(id(0x20)).await.unwrap(), both);
}

async fn a_save_stores_the_record_with_its_data_key(store: Store) {
    let subject = subject(Provider::Calcom);
    assert_eq!(store.find_record(subject).await.unwrap(), None);
    assert_eq!(store.find_data_key(subject.workspace).await.unwrap(), None);
    save(&store, subject, 0, 3).await;
    assert_eq!(store.find_data_key(subject.workspace).await.unwrap(), Some(data_key(9, 1)));
    let sealed = |mark| Some(Sealed { encrypted_data: vec![mark; 200], data_key: Some(data_key(9, 1)) });
    assert_eq!(store.find_record(subject).await.unwrap(), Some(Record { revision: 1, sealed: sealed(3) }));
    save(&store, subject, 1, 4).await;
    assert_eq!(store.find_record(subject).await.unwrap(), Some(Record { revision: 2, sealed: sealed(4) }));
}

async fn a_save_from_another_revision_is_overtaken_and_stores_nothing(store: Store) {
    let subject = subject(Provider::Calcom);
    save(&store, subject, 0, 3).await;
    let before = store.find_record(subject).await.unwrap();
    for from_revision in [0, 2] {
        // A fresh data key goes with the save, or not at all.
        let fresh = data_key(5, 2);
        let saved =
            store.save_record(subject, &record(from_revision, 4), SealedUnder::Fresh(&fresh), at(2)).await;
        assert!(matches!(saved, Err(StoreError::Overtaken)));
        assert_eq!(store.find_record(subject).await.unwrap(), before);
        assert_eq!(store.find_data_key(subject.workspace).await.unwrap(), Some(data_key(9, 1)));
    }
    // The same version of a data key, made by two at once.
    let rival = data_key(6, 1);
    let saved = store.save_record(subject, &record(1, 4), SealedUnder::Fresh(&rival), at(2)).await;
    assert!(matches!(saved, Err(StoreError::Overtaken)));
    // A data key that is gone.
    let saved = store.save_record(subject, &record(1, 4), SealedUnder::Stored(id(6)), at(2)).await;
    assert!(matches!(saved, Err(StoreError::Overtaken)));
    assert_eq!(store.find_record(subject).await.unwrap(), before);
}

async fn of_many_first_saves_at_once_one_stores(store: Store) {
    let subject = subject(Provider::Twilio);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..12 {
        let store = store.clone();
        tasks.spawn(async move {
            let fresh = data_key(number, 1);
            let saved =
                store.save_record(subject, &record(0, number), SealedUnder::Fresh(&fresh), at(1)).await;
            match saved {
                Ok(()) => Some(number),
                Err(StoreError::Overtaken) => None,
                Err(error) => panic!("{error}"),
            }
        });
    }
    let winners: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let sealed = store.find_record(subject).await.unwrap().unwrap().sealed.unwrap();
    assert_eq!(sealed.encrypted_data, vec![winners[0]; 200]);
    assert_eq!(sealed.data_key, Some(data_key(winners[0], 1)));
}

async fn a_deletion_keeps_the_revision_and_nothing_else(store: Store) {
    let subject = subject(Provider::Vapi);
    assert!(!store.delete_record(subject, at(1)).await.unwrap());
    save(&store, subject, 0, 3).await;
    assert!(store.delete_record(subject, at(2)).await.unwrap());
    assert!(!store.delete_record(subject, at(3)).await.unwrap());
    assert_eq!(store.find_record(subject).await.unwrap(), Some(Record { revision: 2, sealed: None }));
    assert_eq!(store.list_integrations(subject.workspace).await.unwrap(), []);
    assert!(!store.record_verification(subject, 2, &verification("none")).await.unwrap());
    // A save made from before the deletion does not bring it back.
    let late = store.save_record(subject, &record(1, 4), SealedUnder::Stored(id(9)), at(4)).await;
    assert!(matches!(late, Err(StoreError::Overtaken)));
    save(&store, subject, 2, 5).await;
    assert_eq!(store.find_record(subject).await.unwrap().unwrap().revision, 3);
}

async fn a_list_has_what_is_in_clear_in_the_order_of_the_providers(store: Store) {
    let workspace = workspace();
    for (provider, mark) in [(Provider::Openai, 3), (Provider::Twilio, 4), (Provider::Calcom, 5)] {
        save(&store, Subject { workspace, provider }, 0, mark).await;
    }
    // Another tenant's.
    save(&store, subject(Provider::Vapi), 0, 6).await;
    let listed = |provider, mark| Listed {
        provider,
        shown_fields: record(0, mark).shown_fields,
        revision: 1,
        updated_at: at(1),
        platform_key_id: Some(id(0x77)),
        failed: false,
        verification: None,
    };
    assert_eq!(
        store.list_integrations(workspace).await.unwrap(),
        [listed(Provider::Twilio, 4), listed(Provider::Calcom, 5), listed(Provider::Openai, 3)]
    );
}

async fn a_verification_is_kept_until_the_next_save_and_an_older_one_discarded(store: Store) {
    let subject = subject(Provider::Openai);
    assert!(!store.record_verification(subject, 1, &verification("none")).await.unwrap());
    save(&store, subject, 0, 3).await;
    save(&store, subject, 1, 4).await;
    assert!(!store.record_verification(subject, 1, &verification("older")).await.unwrap());
    assert!(!store.record_verification(subject, u64::MAX, &verification("odd")).await.unwrap());
    assert!(store.record_verification(subject, 2, &verification("it is gone")).await.unwrap());
    let found = async || store.list_integrations(subject.workspace).await.unwrap()[0].verification.clone();
    assert_eq!(found().await, Some(verification("it is gone")));
    save(&store, subject, 2, 5).await;
    assert_eq!(found().await, None);
}

async fn a_failed_opening_is_remembered_for_its_revision_only(store: Store) {
    let subject = subject(Provider::Openai);
    save(&store, subject, 0, 3).await;
    save(&store, subject, 1, 4).await;
    let failed = async || store.list_integrations(subject.workspace).await.unwrap()[0].failed;
    store.mark_failed_opening(subject, 1).await.unwrap();
    assert!(!failed().await);
    store.mark_failed_opening(subject, 2).await.unwrap();
    store.mark_failed_opening(subject, 2).await.unwrap();
    assert!(failed().await);
    save(&store, subject, 2, 5).await;
    assert!(!failed().await);
}

async fn a_tool_token_is_found_by_its_workspace_and_by_its_hash(store: Store) {
    let (one, other) = (workspace(), workspace());
    assert_eq!(store.find_tool_token(one).await.unwrap(), None);
    let key = data_key(9, 1);
    store.insert_tool_token(one, &token(1, 21), SealedUnder::Fresh(&key), at(1)).await.unwrap();
    store.insert_tool_token(other, &token(1, 22), SealedUnder::Fresh(&key), at(1)).await.unwrap();
    let stored = ToolToken { generation: 1, sealed: vec![21; 153], data_key: Some(key.clone()) };
    assert_eq!(store.find_tool_token(one).await.unwrap(), Some(stored));
    assert_eq!(store.find_tool_token_hint(other).await.unwrap().as_deref(), Some("cbt_…22"));
    assert_eq!(store.find_workspace_of_tool_token(&[21; 32], at(9)).await.unwrap(), Some(one));
    assert_eq!(store.find_workspace_of_tool_token(&[22; 32], at(9)).await.unwrap(), Some(other));
    assert_eq!(store.find_workspace_of_tool_token(&[23; 32], at(9)).await.unwrap(), None);
    // One present token a workspace, of whatever generation.
    for generation in [1, 2] {
        let again = store
            .insert_tool_token(one, &token(generation, 30), SealedUnder::Stored(key.key_id), at(2))
            .await;
        assert!(matches!(again, Err(StoreError::Overtaken)));
    }
}

async fn deleting_a_workspace_leaves_nothing_of_it_and_all_of_the_others(store: Store) {
    let (gone, kept) = (subject(Provider::Openai), subject(Provider::Openai));
    for (subject, hash) in [(gone, 31), (kept, 32)] {
        save(&store, subject, 0, 3).await;
        store
            .insert_tool_token(subject.workspace, &token(1, hash), SealedUnder::Stored(id(9)), at(1))
            .await
            .unwrap();
    }
    store.delete_workspace(gone.workspace).await.unwrap();
    store.delete_workspace(gone.workspace).await.unwrap();
    assert_eq!(store.find_record(gone).await.unwrap(), None);
    assert_eq!(store.find_data_key(gone.workspace).await.unwrap(), None);
    assert_eq!(store.find_tool_token(gone.workspace).await.unwrap(), None);
    assert_eq!(store.find_workspace_of_tool_token(&[31; 32], at(2)).await.unwrap(), None);
    assert!(store.find_record(kept).await.unwrap().unwrap().sealed.is_some());
    assert_eq!(store.find_workspace_of_tool_token(&[32; 32], at(2)).await.unwrap(), Some(kept.workspace));
}

async fn saves_and_deletions_of_a_workspace_at_once_leave_no_record_without_its_key(store: Store) {
    let workspace = workspace();
    for round in 0..10 {
        let mut tasks = tokio::task::JoinSet::new();
        for (provider, number) in Provider::ALL.into_iter().zip(1..) {
            let (store, subject) = (store.clone(), Subject { workspace, provider });
            tasks.spawn(async move {
                let from = store.find_record(subject).await.unwrap().map_or(0, |found| found.revision);
                let fresh = data_key(number, 1);
                let under = match store.find_data_key(workspace).await.unwrap() {
                    None => SealedUnder::Fresh(&fresh),
                    Some(stored) => SealedUnder::Stored(stored.key_id),
                };
                match store.save_record(subject, &record(from, round), under, at(1)).await {
                    Ok(()) | Err(StoreError::Overtaken) => {}
                    Err(error) => panic!("{error:?}"),
                }
            });
        }
        let deleting = store.clone();
        tasks.spawn(async move { deleting.delete_workspace(workspace).await.unwrap() });
        tasks.join_all().await;
        for listed in store.list_integrations(workspace).await.unwrap() {
            assert!(listed.platform_key_id.is_some(), "{listed:?}");
        }
    }
}

suite!(
    Store::new,
    MIGRATIONS,
    [
        the_first_platform_key_is_enrolled_and_no_second,
        of_many_keys_enrolled_at_once_one_wins,
        no_key_is_enrolled_over_data_that_has_lost_its_keyring,
        workspaces_that_need_another_key_are_named,
        a_save_stores_the_record_with_its_data_key,
        a_save_from_another_revision_is_overtaken_and_stores_nothing,
        of_many_first_saves_at_once_one_stores,
        a_deletion_keeps_the_revision_and_nothing_else,
        a_list_has_what_is_in_clear_in_the_order_of_the_providers,
        a_verification_is_kept_until_the_next_save_and_an_older_one_discarded,
        a_failed_opening_is_remembered_for_its_revision_only,
        a_tool_token_is_found_by_its_workspace_and_by_its_hash,
        deleting_a_workspace_leaves_nothing_of_it_and_all_of_the_others,
        saves_and_deletions_of_a_workspace_at_once_leave_no_record_without_its_key,
    ]
);
