//! The contract of [`AccountStore`].

use std::sync::atomic::{AtomicUsize, Ordering};

use atelier_domain::account::{KeyDigest, Role};
use atelier_domain::id::{KeyId, UserId};
use atelier_domain::store::{AccountStore, StoreError};
use atelier_domain::time::Timestamp;

use super::sample;

pub fn a_user_is_found_by_id_and_by_name(store: &dyn AccountStore) {
    let alice = sample::user("alice");
    store.create_user(&alice).expect("created");
    assert_eq!(store.user(alice.id).expect("read"), Some(alice.clone()));
    assert_eq!(store.user_by_name("alice").expect("read"), Some(alice));
    assert_eq!(store.user(UserId::new()).expect("read"), None);
    assert_eq!(store.user_by_name("Alice").expect("read"), None, "names are exact");
}

pub fn a_second_user_of_the_same_name_is_refused(store: &dyn AccountStore) {
    let first = sample::user("alice");
    store.create_user(&first).expect("created");
    let second = sample::user("alice");
    assert!(matches!(store.create_user(&second), Err(StoreError::Exists { .. })));
    assert_eq!(store.user(second.id).expect("read"), None, "nothing of it stays");
    assert_eq!(store.user_by_name("alice").expect("read"), Some(first.clone()));
    let mut same_id = sample::user("bob");
    same_id.id = first.id;
    assert!(matches!(store.create_user(&same_id), Err(StoreError::Exists { .. })));
    assert_eq!(store.user_by_name("bob").expect("read"), None, "nothing of it stays");
}

pub fn of_many_who_want_one_name_at_once_one_gets_it(store: &dyn AccountStore) {
    let created = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| match store.create_user(&sample::user("root")) {
                Ok(()) => created.fetch_add(1, Ordering::SeqCst),
                Err(StoreError::Exists { .. }) => 0,
                Err(other) => panic!("{other}"),
            });
        }
    });
    assert_eq!(created.load(Ordering::SeqCst), 1);
    assert_eq!(store.users(None, 100).expect("read").len(), 1);
}

pub fn an_updated_user_keeps_the_name(store: &dyn AccountStore) {
    let mut alice = sample::user("alice");
    assert!(!store.update_user(&alice).expect("answered"), "there is none yet");
    store.create_user(&alice).expect("created");
    alice.disabled = true;
    alice.role = Role::User;
    assert!(store.update_user(&alice).expect("updated"));
    assert_eq!(store.user(alice.id).expect("read"), Some(alice.clone()));
    let mut renamed = alice.clone();
    renamed.name = "alicia".to_owned();
    assert!(matches!(store.update_user(&renamed), Err(StoreError::Conflict { .. })));
    assert_eq!(store.user(alice.id).expect("read"), Some(alice));
}

pub fn users_are_listed_in_pages_in_the_order_of_their_making(store: &dyn AccountStore) {
    let made: Vec<UserId> = (0..25)
        .map(|number| {
            let user = sample::user(&format!("user {}", 99 - number));
            store.create_user(&user).expect("created");
            user.id
        })
        .collect();
    let mut listed = Vec::new();
    loop {
        let page = store.users(listed.last().copied(), 10).expect("read");
        assert!(page.len() <= 10);
        if page.is_empty() {
            break;
        }
        listed.extend(page.iter().map(|user| user.id));
    }
    assert_eq!(listed, made);
    assert!(store.users(None, 0).expect("read").is_empty());
}

pub fn a_key_is_found_by_its_digest_together_with_its_user(store: &dyn AccountStore) {
    let alice = sample::user("alice");
    store.create_user(&alice).expect("created");
    let key = sample::key(alice.id);
    store.create_key(&key).expect("created");
    assert_eq!(store.key_by_digest(&key.digest).expect("read"), Some((key.clone(), alice.clone())));
    assert_eq!(store.key(alice.id, key.id).expect("read"), Some(key));
    assert_eq!(store.key_by_digest(&KeyDigest::of("another")).expect("read"), None);
}

pub fn a_key_of_nobody_or_with_a_known_digest_is_refused(store: &dyn AccountStore) {
    let orphan = sample::key(UserId::new());
    assert!(matches!(store.create_key(&orphan), Err(StoreError::Conflict { .. })));
    assert_eq!(store.key_by_digest(&orphan.digest).expect("read"), None);
    let alice = sample::user("alice");
    store.create_user(&alice).expect("created");
    let key = sample::key(alice.id);
    store.create_key(&key).expect("created");
    let mut same_digest = sample::key(alice.id);
    same_digest.digest = key.digest;
    assert!(matches!(store.create_key(&same_digest), Err(StoreError::Exists { .. })));
    let mut same_id = sample::key(alice.id);
    same_id.id = key.id;
    assert!(matches!(store.create_key(&same_id), Err(StoreError::Exists { .. })));
    assert_eq!(store.keys(alice.id, None, 10).expect("read"), [key]);
}

pub fn another_users_key_is_none(store: &dyn AccountStore) {
    let (alice, bob) = (sample::user("alice"), sample::user("bob"));
    store.create_user(&alice).expect("created");
    store.create_user(&bob).expect("created");
    let keys: Vec<_> = (0..5).map(|_| sample::key(alice.id)).collect();
    keys.iter().for_each(|key| store.create_key(key).expect("created"));
    assert_eq!(store.key(bob.id, keys[0].id).expect("read"), None);
    assert!(!store.revoke_key(bob.id, keys[0].id, Timestamp(5)).expect("answered"));
    store.touch_key(bob.id, keys[0].id, Timestamp(5)).expect("ignored");
    assert!(store.keys(bob.id, None, 10).expect("read").is_empty());
    assert_eq!(store.keys(alice.id, None, 10).expect("read"), keys, "untouched, oldest first");
    assert_eq!(store.keys(alice.id, Some(keys[1].id), 2).expect("read"), keys[2..4]);
}

pub fn a_revoked_key_stays_revoked_since_the_first_time(store: &dyn AccountStore) {
    let alice = sample::user("alice");
    store.create_user(&alice).expect("created");
    let key = sample::key(alice.id);
    store.create_key(&key).expect("created");
    assert!(store.revoke_key(alice.id, key.id, Timestamp(5)).expect("revoked"));
    assert!(store.revoke_key(alice.id, key.id, Timestamp(9)).expect("revoked before"));
    let (found, _) = store.key_by_digest(&key.digest).expect("read").expect("still listed");
    assert_eq!(found.revoked, Some(Timestamp(5)));
    assert!(!store.revoke_key(alice.id, KeyId::new(), Timestamp(5)).expect("answered"));
}

pub fn the_last_use_of_a_key_never_moves_back(store: &dyn AccountStore) {
    let alice = sample::user("alice");
    store.create_user(&alice).expect("created");
    let key = sample::key(alice.id);
    store.create_key(&key).expect("created");
    for (touched, expected) in [(60_000, 60_000), (120_000, 120_000), (60_000, 120_000)] {
        store.touch_key(alice.id, key.id, Timestamp(touched)).expect("recorded");
        let found = store.key(alice.id, key.id).expect("read").expect("there");
        assert_eq!(found.last_used, Some(Timestamp(expected)));
    }
}
