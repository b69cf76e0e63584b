//! The contract of [`ClaimStore`], and of claims that jobs are created with.

use atelier_domain::id::{JobId, UserId};
use atelier_domain::idempotency::{Claim, ClaimKey, ClaimState, ClaimStore, KeptAnswer};
use atelier_domain::job::Job;
use atelier_domain::store::{JobStore, NewJob, StoreError, SweepPage};
use atelier_domain::time::Timestamp;

use super::sample;

const BYTES_MAX: u64 = 100;

fn key(owner: UserId, key: &str) -> ClaimKey {
    ClaimKey::new(owner, "POST /v1/things", key)
}

fn claim(expires: u64, state: ClaimState) -> Claim {
    Claim { payload: "payload".to_owned(), expires: Timestamp(expires), state }
}

fn answered(expires: u64, has_body: bool) -> Claim {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    claim(expires, ClaimState::Answered(KeptAnswer { status: 201, headers, has_body }))
}

fn put(store: &dyn ClaimStore, key: &ClaimKey, claim: &Claim, body: Option<&[u8]>) {
    store.put_claim(key, claim, body, BYTES_MAX).expect("put");
}

/// Removes so many of what has expired, and gives their number.
fn sweep(store: &dyn ClaimStore, now: u64, limit: usize) -> usize {
    store.sweep_claims(Timestamp(now), &SweepPage::first(limit)).expect("swept").removed
}

pub fn a_claim_is_read_as_it_was_put_and_replaced<S: ClaimStore>(store: &S) {
    let key = key(UserId::new(), "a");
    assert_eq!(store.claim(&key).expect("read"), None);
    let begun = claim(10, ClaimState::Begun);
    put(store, &key, &begun, None);
    assert_eq!(store.claim(&key).expect("read"), Some(begun));
    assert_eq!(store.claim_body(&key).expect("read"), None);
    put(store, &key, &answered(20, false), Some(b"\0\xffbytes"));
    assert_eq!(store.claim(&key).expect("read"), Some(answered(20, true)), "it says that it has a body");
    assert_eq!(store.claim_body(&key).expect("read").as_deref(), Some(&b"\0\xffbytes"[..]));
    assert_eq!(sweep(store, 10, 10), 0, "the first expiry is forgotten");
}

pub fn a_freed_key_leaves_nothing_behind<S: ClaimStore>(store: &S) {
    let key = key(UserId::new(), "a");
    store.remove_claim(&key).expect("nothing to do");
    put(store, &key, &answered(10, true), Some(&[7; 100]));
    store.remove_claim(&key).expect("removed");
    assert_eq!(store.claim(&key).expect("read"), None);
    assert_eq!(store.claim_body(&key).expect("read"), None);
    assert_eq!(sweep(store, u64::MAX, 10), 0);
    put(store, &key, &answered(10, true), Some(&[7; 100]));
    assert_eq!(store.claim(&key).expect("read"), Some(answered(10, true)), "its bytes count no more");
}

pub fn an_owner_keeps_so_many_bytes_and_then_answers_without_a_body<S: ClaimStore>(store: &S) {
    let (alice, bob) = (UserId::new(), UserId::new());
    put(store, &key(alice, "a"), &answered(10, false), Some(&[1; 60]));
    put(store, &key(alice, "b"), &answered(20, true), Some(&[2; 41]));
    assert_eq!(store.claim(&key(alice, "b")).expect("read"), Some(answered(20, false)));
    assert_eq!(store.claim_body(&key(alice, "b")).expect("read"), None);
    put(store, &key(alice, "c"), &answered(20, true), Some(&[3; 40]));
    put(store, &key(bob, "a"), &answered(20, true), Some(&[4; 100]));
    let has_body = |key: &ClaimKey| store.claim_body(key).expect("read").is_some();
    assert!(has_body(&key(alice, "c")) && has_body(&key(bob, "a")), "owners are counted apart");
    put(store, &key(alice, "a"), &answered(30, true), Some(&[5; 60]));
    assert!(has_body(&key(alice, "a")), "what it replaces is not counted");
    assert_eq!(sweep(store, 20, 10), 3);
    put(store, &key(alice, "d"), &answered(40, true), Some(&[6; 40]));
    assert!(has_body(&key(alice, "d")), "what was swept is not counted");
}

pub fn expired_claims_are_swept_in_their_order_so_many_at_a_time<S: ClaimStore>(store: &S) {
    let owner = UserId::new();
    let keys: Vec<ClaimKey> = (0..6).map(|n| key(owner, &n.to_string())).collect();
    for (at, key) in [300u64, 1, u64::MAX, 256, 255, 70_000].into_iter().zip(&keys) {
        put(store, key, &answered(at, true), Some(b"x"));
    }
    let left = || keys.iter().map(|key| store.claim(key).expect("read").is_some()).collect::<Vec<_>>();
    assert_eq!(sweep(store, 0, 10), 0);
    assert_eq!(sweep(store, 256, 2), 2);
    assert_eq!(left(), [true, false, true, true, false, true], "those that expired first");
    assert_eq!(sweep(store, 256, 10), 1);
    assert_eq!(sweep(store, 70_000, 10), 2);
    assert_eq!(left(), [false, false, true, false, false, false]);
}

pub fn a_job_and_its_claim_are_created_together_or_not_at_all<S: ClaimStore + JobStore>(store: &S) {
    let first = sample::job(UserId::new());
    let key = key(first.owner, "a");
    let claim_of = |job: &Job| claim(job.created.0 + 100, ClaimState::Job(job.id));
    let create = |job: &Job| {
        let claim = claim_of(job);
        store.create_job(&NewJob { claim: Some((&key, &claim)), ..job.into() })
    };
    create(&first).expect("created");
    assert_eq!(store.claim(&key).expect("read"), Some(claim_of(&first)));
    let second = Job { id: JobId::new(), created: Timestamp(first.created.0 + 99), ..first.clone() };
    assert!(matches!(create(&second), Err(StoreError::Exists { .. })), "the key is claimed");
    assert_eq!(store.job(second.id).expect("read"), None);
    assert_eq!(store.open_job_count(first.owner).expect("counted"), 1);
    assert!(matches!(create(&first), Err(StoreError::Exists { .. })), "the job is there");
    assert_eq!(store.claim(&key).expect("read"), Some(claim_of(&first)));
    let third = Job { id: JobId::new(), created: Timestamp(first.created.0 + 100), ..first.clone() };
    create(&third).expect("the claim has expired");
    assert_eq!(store.claim(&key).expect("read"), Some(claim_of(&third)));
}

pub fn a_request_that_was_begun_becomes_its_job<S: ClaimStore + JobStore>(store: &S) {
    let job = sample::job(UserId::new());
    let key = key(job.owner, "a");
    let becomes = claim(u64::MAX, ClaimState::Job(job.id));
    let create = || store.create_job(&NewJob { claim: Some((&key, &becomes)), ..(&job).into() });
    put(store, &key, &Claim { payload: "another".to_owned(), ..claim(u64::MAX, ClaimState::Begun) }, None);
    assert!(matches!(create(), Err(StoreError::Exists { .. })), "another request's");
    put(store, &key, &answered(u64::MAX, false), None);
    assert!(matches!(create(), Err(StoreError::Exists { .. })), "it has ended");
    put(store, &key, &claim(u64::MAX, ClaimState::Begun), None);
    create().expect("its own");
    assert_eq!(store.claim(&key).expect("read"), Some(becomes));
}

pub fn of_many_who_claim_a_key_at_once_one_gets_a_job<S: ClaimStore + JobStore>(store: &S) {
    let owner = UserId::new();
    let key = key(owner, "a");
    let created = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let job = sample::job(owner);
                    let claim = claim(u64::MAX, ClaimState::Job(job.id));
                    store.create_job(&NewJob { claim: Some((&key, &claim)), ..(&job).into() }).is_ok()
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().expect("no panic")).filter(|ok| *ok).count()
    });
    assert_eq!(created, 1);
    assert_eq!(store.jobs_of(owner, None, 10).expect("read").len(), 1);
}
