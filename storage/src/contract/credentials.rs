//! The contract of [`CredentialStore`].

use atelier_domain::account::session::{Credentials, PasswordHash, Session};
use atelier_domain::id::{SessionId, UserId};
use atelier_domain::store::{AccountStore, CredentialStore, StoreError};
use atelier_domain::time::Timestamp;

use super::sample;

/// Both ports, on one store.
pub trait Port: AccountStore + CredentialStore {}
impl<T: AccountStore + CredentialStore> Port for T {}

fn user(store: &dyn Port, name: &str) -> UserId {
    let user = sample::user(name);
    store.create_user(&user).expect("created");
    user.id
}

fn begun(store: &dyn Port, session: Session) -> Session {
    store.create_session(&session, 100).expect("created");
    session
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash(text.to_owned())
}

pub fn a_password_is_one_users_and_kept_for_a_user_alone(store: &dyn Port) {
    let alice = user(store, "alice");
    assert_eq!(store.credentials(alice).expect("read"), Credentials::default());
    assert_eq!(store.set_password(alice, &hash("one"), Timestamp(7), None).expect("set"), Some(1));
    let found = store.credentials(alice).expect("read");
    assert_eq!((found.password, found.changed), (Some(hash("one")), Some(Timestamp(7))));
    let nobody = UserId::new();
    assert_eq!(store.set_password(nobody, &hash("one"), Timestamp(7), None).expect("answered"), None);
    assert_eq!(store.credentials(nobody).expect("read"), Credentials::default());
}

pub fn a_password_that_was_changed_meanwhile_stays(store: &dyn Port) {
    let alice = user(store, "alice");
    assert_eq!(store.set_password(alice, &hash("one"), Timestamp(7), Some(0)).expect("set"), Some(1));
    let late = store.set_password(alice, &hash("two"), Timestamp(8), Some(0));
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    assert_eq!(store.credentials(alice).expect("read").password, Some(hash("one")));
}

pub fn another_password_ends_all_sessions(store: &dyn Port) {
    let (alice, bob) = (user(store, "alice"), user(store, "bob"));
    let session = begun(store, sample::session(alice));
    let other = begun(store, sample::session(bob));
    store.set_password(alice, &hash("one"), Timestamp(7), None).expect("set");
    assert_eq!(store.session_by_digest(&session.digest).expect("read"), None);
    assert!(store.sessions_of(alice).expect("read").is_empty());
    assert!(store.session_by_digest(&other.digest).expect("read").is_some(), "another's goes on");
}

pub fn a_hash_is_replaced_only_as_long_as_it_is_the_one_that_was_checked(store: &dyn Port) {
    let alice = user(store, "alice");
    store.set_password(alice, &hash("cheap"), Timestamp(7), None).expect("set");
    let session = begun(store, Session { version: 1, ..sample::session(alice) });
    assert!(store.rehash(alice, &hash("cheap"), &hash("dear")).expect("kept"));
    assert!(
        !store.rehash(alice, &hash("cheap"), &hash("older")).expect("answered"),
        "it was changed meanwhile"
    );
    let found = store.credentials(alice).expect("read");
    assert_eq!((found.password, found.changed), (Some(hash("dear")), Some(Timestamp(7))));
    assert!(store.session_by_digest(&session.digest).expect("read").is_some(), "the password is the same");
}

pub fn a_session_is_found_by_its_digest_together_with_its_user(store: &dyn Port) {
    let alice = user(store, "alice");
    let session = begun(store, sample::session(alice));
    let (found, owner) = store.session_by_digest(&session.digest).expect("read").expect("there");
    assert_eq!((&found, owner.id), (&session, alice));
    assert_eq!(store.session_by_digest(&sample::session(alice).digest).expect("read"), None);
    assert!(matches!(store.create_session(&session, 100), Err(StoreError::Exists { .. })));
    store.touch_session(&session.digest, Timestamp(5_000)).expect("noted");
    store.touch_session(&session.digest, Timestamp(4_000)).expect("noted");
    let (found, _) = store.session_by_digest(&session.digest).expect("read").expect("there");
    assert_eq!(found.last_used, Timestamp(5_000), "it never moves back");
    store.touch_session(&sample::session(alice).digest, Timestamp(1)).expect("ignored");
}

pub fn a_session_that_was_begun_before_all_were_ended_never_comes_about(store: &dyn Port) {
    let alice = user(store, "alice");
    let (before, late) = (begun(store, sample::session(alice)), sample::session(alice));
    store.end_sessions(alice).expect("ended");
    assert!(matches!(store.create_session(&late, 100), Err(StoreError::Conflict { .. })));
    for over in [&before, &late] {
        assert_eq!(store.session_by_digest(&over.digest).expect("read"), None);
    }
    let new = begun(store, Session { version: 1, ..sample::session(alice) });
    assert_eq!(store.sessions_of(alice).expect("read"), [new]);
    let nobodys = sample::session(UserId::new());
    assert!(matches!(store.create_session(&nobodys, 100), Err(StoreError::Conflict { .. })));
}

pub fn another_users_session_is_none(store: &dyn Port) {
    let (alice, bob) = (user(store, "alice"), user(store, "bob"));
    let session = begun(store, sample::session(alice));
    assert!(!store.end_session(bob, session.id).expect("answered"));
    assert!(!store.end_session(alice, SessionId::new()).expect("answered"));
    assert!(store.sessions_of(bob).expect("read").is_empty());
    assert!(store.end_session(alice, session.id).expect("ended"));
    assert!(!store.end_session(alice, session.id).expect("answered"));
    assert_eq!(store.session_by_digest(&session.digest).expect("read"), None);
    assert_eq!(store.sweep_sessions(Timestamp(u64::MAX), 10).expect("swept"), 0, "nothing of it stays");
}

pub fn a_user_has_so_many_sessions_and_the_oldest_goes(store: &dyn Port) {
    let alice = user(store, "alice");
    let mut made: Vec<_> = (0..5).map(|_| sample::session(alice)).collect();
    made.iter().for_each(|session| store.create_session(session, 3).expect("created"));
    made.reverse();
    assert_eq!(store.sessions_of(alice).expect("read"), made[..3], "newest first");
    assert_eq!(store.session_by_digest(&made[3].digest).expect("read"), None);
}

pub fn sessions_whose_time_is_over_are_swept_so_many_at_a_time(store: &dyn Port) {
    let alice = user(store, "alice");
    let ending = |at| begun(store, Session { expires: Timestamp(at), ..sample::session(alice) });
    let (later, _soon, _sooner) = (ending(300), ending(255), ending(254));
    assert_eq!(store.sweep_sessions(Timestamp(253), 10).expect("swept"), 0);
    assert_eq!(store.sweep_sessions(Timestamp(255), 1).expect("swept"), 1);
    assert_eq!(store.sweep_sessions(Timestamp(255), 10).expect("swept"), 1);
    assert_eq!(store.sessions_of(alice).expect("read"), [later]);
}
