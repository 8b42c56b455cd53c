//! What the store promises, on both engines.

use coachbot_common::id::{WorkspaceId, new_id};
use coachbot_common::suite;
use coachbot_integrations::Channel;
use jiff::{SignedDuration, Timestamp};

use super::{
    ApiKey, ApiKeyId, FormId, Hash, MIGRATIONS, NewOwner, Position, Store, UserId, Workspace, WorkspaceChange,
};

fn now() -> Timestamp {
    "2026-11-25T12:00:00.123456Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn hash(byte: u8) -> Hash {
    [byte; 32]
}

fn api_key(name: &str, created_at: Timestamp) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_uuid(new_id(created_at)),
        name: name.to_owned(),
        hint: "cbk_…abcd".to_owned(),
        created_at,
        last_used_at: None,
    }
}

fn owner(key: Option<(&str, Hash)>) -> NewOwner {
    NewOwner {
        user: UserId::from_uuid(new_id(now())),
        key: key.map(|(name, hash)| (api_key(name, now()), hash)),
    }
}

/// Two tenants.
async fn two_owners(store: &Store) -> (UserId, UserId) {
    let owners = [owner(None), owner(None)];
    assert!(store.claim(&owners, now()).await.unwrap());
    (owners[0].user, owners[1].user)
}

async fn workspace(store: &Store, user: UserId, name: &str, created_at: Timestamp) -> Workspace {
    let workspace = Workspace {
        id: WorkspaceId::from_uuid(new_id(created_at)),
        name: name.to_owned(),
        channel: Channel::Voice,
        timezone: "Europe/London".to_owned(),
        created_at,
    };
    store.insert_workspace(user, &workspace, FormId::from_uuid(new_id(created_at))).await.unwrap();
    workspace
}

async fn the_first_owners_are_made_once(store: Store) {
    assert_eq!(store.first_owner().await.unwrap(), None);
    let first = [owner(Some(("one", hash(1)))), owner(Some(("two", hash(2))))];
    assert!(store.claim(&first, now()).await.unwrap());
    assert!(!store.claim(&[owner(Some(("three", hash(3))))], later(1)).await.unwrap());

    assert_eq!(store.first_owner().await.unwrap(), Some(first[0].user));
    let known = store.api_key_by_hash(&hash(2)).await.unwrap().unwrap();
    assert_eq!((known.user, known.last_used_at), (first[1].user, None));
    assert_eq!(store.api_key_by_hash(&hash(3)).await.unwrap(), None);
}

async fn of_several_that_claim_at_once_one_does(store: Store) {
    let claims: Vec<_> = (0..8)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(
                async move { store.claim(&[owner(Some(("key", hash(number))))], now()).await.unwrap() },
            )
        })
        .collect();
    let mut made = 0;
    for claim in claims {
        made += u32::from(claim.await.unwrap());
    }
    assert_eq!(made, 1);
    let mut known = 0;
    for number in 0..8 {
        known += u32::from(store.api_key_by_hash(&hash(number)).await.unwrap().is_some());
    }
    assert_eq!(known, 1);
}

async fn a_workspace_is_kept_as_it_was_given(store: Store) {
    let (user, _) = two_owners(&store).await;
    let kept = workspace(&store, user, "Åcme \"<b>\" 🦀", now()).await;
    assert_eq!(store.workspace(user, kept.id).await.unwrap(), Some(kept.clone()));

    let change = WorkspaceChange { name: Some("New"), timezone: None };
    let changed = store.update_workspace(user, kept.id, change).await.unwrap();
    assert_eq!(changed, Some(Workspace { name: "New".to_owned(), ..kept.clone() }));
    assert_eq!(store.workspace(user, kept.id).await.unwrap(), changed);

    let nothing = store.update_workspace(user, kept.id, WorkspaceChange::default()).await.unwrap();
    assert_eq!(nothing, changed);
}

async fn another_users_workspace_is_as_unknown_as_none(store: Store) {
    let (user, other) = two_owners(&store).await;
    let kept = workspace(&store, user, "Mine", now()).await;
    let change = WorkspaceChange { name: Some("Stolen"), timezone: None };
    for id in [kept.id, WorkspaceId::from_uuid(new_id(now()))] {
        assert_eq!(store.workspace(other, id).await.unwrap(), None);
        assert_eq!(store.update_workspace(other, id, change).await.unwrap(), None);
        assert!(!store.mark_for_deletion(other, id, now()).await.unwrap());
    }
    assert!(store.workspaces(other, None, 10).await.unwrap().is_empty());
    assert_eq!(store.workspace(user, kept.id).await.unwrap(), Some(kept));
    assert!(store.marked_for_deletion(10).await.unwrap().is_empty());
}

async fn lists_are_newest_first_and_pages_lose_nothing(store: Store) {
    let (user, other) = two_owners(&store).await;
    workspace(&store, other, "Not mine", later(9)).await;
    let mut expected = Vec::new();
    // The last three are of one instant.
    for (number, seconds) in [0, 1, 2, 2, 2].into_iter().enumerate() {
        expected.push(workspace(&store, user, &format!("Number {number}"), later(seconds)).await);
    }
    expected.sort_by_key(|workspace| std::cmp::Reverse((workspace.created_at, workspace.id)));

    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = store.workspaces(user, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(Position { created_at: last.created_at, id: last.id.as_uuid() });
        found.extend(page);
    }
    assert_eq!(found, expected);
}

async fn a_workspace_that_is_being_deleted_is_hidden_and_then_gone(store: Store) {
    let (user, _) = two_owners(&store).await;
    let first = workspace(&store, user, "First", now()).await;
    let second = workspace(&store, user, "Second", later(1)).await;
    assert!(store.mark_for_deletion(user, second.id, later(2)).await.unwrap());
    assert!(store.mark_for_deletion(user, first.id, later(3)).await.unwrap());
    assert!(!store.mark_for_deletion(user, first.id, later(4)).await.unwrap());

    assert_eq!(store.workspace(user, first.id).await.unwrap(), None);
    assert!(store.workspaces(user, None, 10).await.unwrap().is_empty());
    let change = WorkspaceChange { name: Some("Back"), timezone: None };
    assert_eq!(store.update_workspace(user, first.id, change).await.unwrap(), None);
    assert_eq!(store.marked_for_deletion(10).await.unwrap(), [second.id, first.id]);

    store.forget_workspace(second.id).await.unwrap();
    store.forget_workspace(second.id).await.unwrap();
    assert_eq!(store.marked_for_deletion(10).await.unwrap(), [first.id]);
}

async fn one_that_lives_is_not_forgotten(store: Store) {
    let (user, _) = two_owners(&store).await;
    let kept = workspace(&store, user, "Kept", now()).await;
    store.forget_workspace(kept.id).await.unwrap();
    assert_eq!(store.workspace(user, kept.id).await.unwrap(), Some(kept));
}

async fn an_api_key_belongs_to_one_user(store: Store) {
    let (user, other) = two_owners(&store).await;
    let older = api_key("older", now());
    let newer = api_key("newer", later(1));
    store.insert_api_key(user, &older, &hash(1)).await.unwrap();
    store.insert_api_key(user, &newer, &hash(2)).await.unwrap();

    store.touch_api_key(older.id, later(60)).await.unwrap();
    let known = store.api_key_by_hash(&hash(1)).await.unwrap().unwrap();
    assert_eq!((known.id, known.user, known.last_used_at), (older.id, user, Some(later(60))));
    let used = ApiKey { last_used_at: Some(later(60)), ..older.clone() };
    assert_eq!(store.api_keys(user, None, 10).await.unwrap(), [newer.clone(), used.clone()]);
    let after = Position { created_at: newer.created_at, id: newer.id.as_uuid() };
    assert_eq!(store.api_keys(user, Some(after), 10).await.unwrap(), [used]);

    assert!(store.api_keys(other, None, 10).await.unwrap().is_empty());
    assert!(!store.delete_api_key(other, older.id).await.unwrap());
    assert!(store.delete_api_key(user, older.id).await.unwrap());
    assert!(!store.delete_api_key(user, older.id).await.unwrap());
    assert_eq!(store.api_key_by_hash(&hash(1)).await.unwrap(), None);
}

async fn a_second_key_of_one_hash_is_refused(store: Store) {
    let (user, other) = two_owners(&store).await;
    store.insert_api_key(user, &api_key("first", now()), &hash(1)).await.unwrap();
    store.insert_api_key(other, &api_key("second", now()), &hash(1)).await.unwrap_err();
    assert_eq!(store.api_key_by_hash(&hash(1)).await.unwrap().unwrap().user, user);
}

async fn a_sign_in_link_works_once(store: Store) {
    let (_, user) = two_owners(&store).await;
    store.insert_sign_in_link(user, &hash(1), now(), later(900)).await.unwrap();
    let tries: Vec<_> = (10..18)
        .map(|session| {
            let store = store.clone();
            tokio::spawn(async move {
                store.redeem_sign_in_link(&hash(1), &hash(session), later(1), later(100)).await.unwrap()
            })
        })
        .collect();
    let mut signed_in = Vec::new();
    for (number, attempt) in (10..).zip(tries) {
        if let Some(found) = attempt.await.unwrap() {
            assert_eq!(found, user);
            signed_in.push(number);
        }
    }
    assert_eq!(signed_in.len(), 1);
    for session in 10..18 {
        let found = store.session_user(&hash(session), later(2)).await.unwrap();
        assert_eq!(found.is_some(), signed_in.contains(&session));
    }
}

async fn links_and_sessions_end(store: Store) {
    let (user, _) = two_owners(&store).await;
    store.insert_sign_in_link(user, &hash(1), now(), later(900)).await.unwrap();
    let redeem = async |link: u8, session: u8, at| {
        store.redeem_sign_in_link(&hash(link), &hash(session), at, later(2000)).await.unwrap()
    };
    assert_eq!(redeem(1, 2, later(900)).await, None);
    assert_eq!(redeem(9, 2, later(1)).await, None);
    assert_eq!(redeem(1, 2, later(899)).await, Some(user));

    assert_eq!(store.session_user(&hash(2), later(1999)).await.unwrap(), Some(user));
    assert_eq!(store.session_user(&hash(2), later(2000)).await.unwrap(), None);
    store.delete_session(&hash(2)).await.unwrap();
    assert_eq!(store.session_user(&hash(2), later(1)).await.unwrap(), None);
    store.delete_session(&hash(2)).await.unwrap();
}

async fn what_ended_is_forgotten_by_the_next(store: Store) {
    let (user, _) = two_owners(&store).await;
    store.insert_sign_in_link(user, &hash(1), now(), later(900)).await.unwrap();
    store.insert_sign_in_link(user, &hash(2), later(1000), later(1900)).await.unwrap();
    // As if the clock went back: the first link is not there any more.
    assert_eq!(store.redeem_sign_in_link(&hash(1), &hash(3), later(1), later(5)).await.unwrap(), None);
    assert_eq!(
        store.redeem_sign_in_link(&hash(2), &hash(4), later(1001), later(1005)).await.unwrap(),
        Some(user)
    );
}

async fn the_tables_are_there_and_the_database_answers(store: Store) {
    store.ping().await.unwrap();
    assert_eq!(MIGRATIONS.sqlite.len(), MIGRATIONS.postgres.len());
    for (sqlite, postgres) in MIGRATIONS.sqlite.iter().zip(MIGRATIONS.postgres) {
        assert_eq!((sqlite.0, sqlite.1), (postgres.0, postgres.1));
    }
}

suite!(
    Store::new,
    MIGRATIONS,
    [
        the_first_owners_are_made_once,
        of_several_that_claim_at_once_one_does,
        a_workspace_is_kept_as_it_was_given,
        another_users_workspace_is_as_unknown_as_none,
        lists_are_newest_first_and_pages_lose_nothing,
        a_workspace_that_is_being_deleted_is_hidden_and_then_gone,
        one_that_lives_is_not_forgotten,
        an_api_key_belongs_to_one_user,
        a_second_key_of_one_hash_is_refused,
        a_sign_in_link_works_once,
        links_and_sessions_end,
        what_ended_is_forgotten_by_the_next,
        the_tables_are_there_and_the_database_answers,
    ]
);
