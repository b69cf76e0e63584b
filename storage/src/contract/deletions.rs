//! The contract of [`DeletionStore`].

pub mod world;

use atelier_domain::account::session::PasswordHash;
use atelier_domain::account::{KeyDigest, User};
use atelier_domain::deletion::{Advance, Deletion};
use atelier_domain::file::FileQuota;
use atelier_domain::id::{KeyId, UserId};
use atelier_domain::job::JobState;
use atelier_domain::money::{EntryKind, MicroCredits};
use atelier_domain::store::{DeletionStore, LedgerStore, StoreError};
use atelier_domain::time::Timestamp;

use super::conversations::steps;
use super::ledger::steps::{amount, end, grant, wanted};
use super::sample;
use world::{Ports, World};

const NOW: Timestamp = Timestamp(77);
const LATER: Timestamp = Timestamp(99);
/// Steps that no erasure of these tests needs.
const STEPS_MAX: usize = 10_000;

/// Goes on with an erasure until it waits or has ended.
pub fn erase(store: &dyn DeletionStore, user: UserId, limit: usize) -> Advance {
    for _ in 0..STEPS_MAX {
        let step = store.erase_some(user, LATER, limit).expect("erased");
        assert_eq!(step.unreadable, Vec::<String>::new());
        if step.advance != Advance::More {
            return step.advance;
        }
    }
    panic!("an erasure that makes no end");
}

fn is_refused<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Conflict { .. })), "{outcome:?}");
}

pub fn a_deleted_user_is_an_id_and_their_name_is_free_at_once<S: Ports>(store: &S) {
    let made = World::fill(store, "quokka");
    let user = made.user.id;
    assert_eq!(store.delete_user(UserId::new(), NOW).expect("asked"), None, "nobody");
    assert_eq!(store.deletion(user).expect("read"), None);
    let deletion = store.delete_user(user, NOW).expect("deleted").expect("there");
    assert_eq!(deletion, Deletion { user, begun: NOW, finished: None });
    assert_eq!(store.delete_user(user, LATER).expect("again"), Some(deletion), "once");
    assert_eq!(store.open_deletions(9).expect("read"), [deletion]);
    let left = store.user(user).expect("read").expect("there");
    assert!(left.is_deleted() && left.disabled, "{left:?}");
    assert_eq!(store.user_by_name(&made.user.name).expect("read"), None);
    store.create_user(&User { id: UserId::new(), ..made.user.clone() }).expect("the name is free");
    assert!(store.sessions_of(user).expect("read").is_empty());
    assert_eq!(store.credentials(user).expect("read").password, None);
    assert!(store.endpoints(user).expect("read").is_empty());
    assert_eq!(store.due_mail(Timestamp(u64::MAX - 2), 9).expect("read"), [], "no mail waits");
    assert!(!store.update_user(&User { disabled: false, ..left }).expect("asked"), "they do not come back");
}

pub fn nothing_new_is_a_deleted_users<S: Ports>(store: &S) {
    let made = World::fill(store, "quokka");
    let user = made.user.id;
    let talk = store.conversation_of(user, made.conversation.id).expect("read").expect("there");
    store.delete_user(user, NOW).expect("deleted");
    is_refused(store.create_key(&sample::key(user)));
    is_refused(store.create_file(&sample::file(user), &FileQuota { bytes: u64::MAX, files: 99 }));
    is_refused(store.create_job(&(&sample::job(user)).into()));
    is_refused(store.create_link(&sample::link(user)));
    is_refused(store.create_conversation(&sample::conversation(user), 99));
    is_refused(store.exchange(&steps::asking(&talk, None, "are you there?")));
    is_refused(store.create_batch(&super::batches::batch(user)));
    is_refused(store.create_endpoint(&sample::endpoint(user), 99));
    is_refused(store.put_provider_key(user, &super::provider_keys::key("openai", "mine"), 99));
    let response = atelier_domain::response::StoredResponse {
        id: atelier_domain::id::ResponseId::new(),
        ..made.response
    };
    is_refused(store.create_response(&response, u64::MAX));
    is_refused(store.create_session(&sample::session(user), 9));
    is_refused(store.grant(&grant(user, 5)));
    is_refused(store.take_allowance(&wanted(user, KeyId::new(), 0, 5)));
    let hash = PasswordHash("hash".to_owned());
    assert_eq!(store.set_password(user, &hash, NOW, None).expect("asked"), None);
}

pub fn an_erasure_leaves_nothing_that_can_be_found_and_touches_no_other<S: Ports>(store: &S) {
    let (made, other) = (World::fill(store, "quokka"), World::fill(store, "wombat"));
    let user = made.user.id;
    is_refused(store.erase_some(user, NOW, 9));
    store.delete_user(user, NOW).expect("deleted");
    let work = store.open_work_of(user, 9).expect("read");
    assert_eq!((work.jobs, work.batches.len()), (vec![made.open.id], 2));
    assert_eq!(erase(store, user, 3), Advance::Waiting, "a job is open");
    assert!(store.job_of(user, made.job.id).expect("read").is_none(), "what can go is gone by then");
    end(store, &made.open, JobState::Canceled, 0);
    assert_eq!(erase(store, user, 3), Advance::Finished);
    assert_eq!(store.deletion(user).expect("read").and_then(|deletion| deletion.finished), Some(LATER));
    assert_eq!(store.open_deletions(9).expect("read"), []);
    assert_eq!(erase(store, user, 3), Advance::Finished, "again");

    assert!(store.jobs_of(user, None, 99).expect("read").is_empty());
    assert!(store.keys(user, None, 99).expect("read").is_empty());
    assert_eq!(store.file_of(user, made.file.id).expect("read"), None);
    assert!(!store.is_blob_named(&made.file.blob).expect("asked"));
    assert_eq!(store.file_use_of(user).expect("read"), atelier_domain::file::FileUse::default());
    assert_eq!(store.link(made.link.id).expect("read"), None);
    assert_eq!(store.conversation_of(user, made.conversation.id).expect("read"), None);
    assert!(steps::found(store, user, "quokka").is_empty());
    assert_eq!(store.response_of(user, made.response.id).expect("read"), None);
    assert!(store.events(user, 0, 99).expect("read").events.is_empty());
    assert!(store.batches_of(user, None, 99).expect("read").is_empty());
    let stub = store.job(made.job.id).expect("read").expect("the books need it");
    assert!(stub.is_erased && stub.request.prompt.is_none() && stub.outputs.is_empty());

    let theirs = other.user.id;
    assert_eq!(store.user(theirs).expect("read"), Some(other.user));
    assert_eq!(store.jobs_of(theirs, None, 99).expect("read").len(), 3);
    assert_eq!(store.keys(theirs, None, 99).expect("read").len(), 1);
    assert!(store.key_by_digest(&KeyDigest([0; 32])).expect("asked").is_none());
    assert_eq!(store.file_of(theirs, other.file.id).expect("read"), Some(other.file));
    assert_eq!(store.link(other.link.id).expect("read"), Some(other.link));
    assert!(!steps::found(store, theirs, "wombat").is_empty());
    assert_eq!(store.response_of(theirs, other.response.id).expect("read"), Some(other.response));
    assert_eq!(store.batches_of(theirs, None, 99).expect("read").len(), 2);
    assert_eq!(store.endpoints(theirs).expect("read").len(), 1);
}

pub fn the_books_balance_and_what_was_left_goes_back_where_credits_come_from<S: Ports>(store: &S) {
    let made = World::fill(store, "quokka");
    let user = made.user.id;
    let before = store.entries(user, None, 99).expect("read");
    let left = store.balance(user).expect("read");
    assert_eq!((left.held, left.allowance), (amount(30), MicroCredits::ZERO));
    store.delete_user(user, NOW).expect("deleted");
    assert_eq!(erase(store, user, 9), Advance::Waiting, "money is set aside");
    end(store, &made.open, JobState::Canceled, 0);
    assert_eq!(erase(store, user, 9), Advance::Finished);
    let entries = store.entries(user, None, 99).expect("read");
    assert_eq!(entries.len(), before.len() + 2, "a release and a closure");
    assert_eq!((entries[0].kind, entries[0].at), (EntryKind::Closure, LATER));
    let closed = store.balance(user).expect("read");
    assert_eq!((closed.available, closed.held), (MicroCredits::ZERO, MicroCredits::ZERO));
    assert!(!store.usage(user, None, 99).expect("read").is_empty(), "what they used stays");
    let audit = LedgerStore::audit(store).expect("read");
    assert!(audit.is_clean(), "{audit:?}");
}
