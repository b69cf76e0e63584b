//! The contract of [`CallbackStore`].

use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::{Job, JobState};
use atelier_domain::store::{CallbackMark, CallbackStore, JobStore};
use atelier_domain::time::Timestamp;

use super::sample;

const MARK: CallbackMark = CallbackMark([7; 32]);
const OTHER: CallbackMark = CallbackMark([8; 32]);
const NOW: Timestamp = Timestamp(1_000);

/// Takes a callback that is about no job; `true` if it was not here before.
fn take(store: &dyn CallbackStore, mark: CallbackMark, period: u64) -> bool {
    let was_taken = store.is_callback_taken(mark, period).expect("answered");
    let is_fresh = store.take_callback(Some(mark), period, &[], NOW).expect("answered").is_some();
    assert_ne!(was_taken, is_fresh);
    is_fresh
}

pub fn a_callback_is_fresh_once_in_this_period_and_the_next(store: &dyn CallbackStore) {
    assert!(take(store, MARK, 10));
    assert!(!take(store, MARK, 10));
    assert!(!take(store, MARK, 11));
    assert!(take(store, OTHER, 10));
    assert!(take(store, MARK, 12), "its time is over");
}

pub fn of_many_who_bring_one_callback_at_once_one_is_first(store: &dyn CallbackStore) {
    let fresh = std::thread::scope(|scope| {
        let take = || store.take_callback(Some(MARK), 3, &[], NOW).expect("answered").is_some();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).filter(|fresh| *fresh).count()
    });
    assert_eq!(fresh, 1);
}

pub fn a_callback_wakes_the_open_jobs_that_it_is_about_and_is_then_taken<S: CallbackStore + JobStore>(
    store: &S,
) {
    let owner = UserId::new();
    let job = |wake_at, state| {
        let job = Job { wake_at: Timestamp(wake_at), state, ..sample::job(owner) };
        store.create_job(&(&job).into()).expect("created");
        job
    };
    let (late, soon) = (job(9_000, JobState::Processing), job(10, JobState::Processing));
    let ended = job(9_000, JobState::Canceled);
    let named = [late.id, soon.id, ended.id, JobId::new()];
    let woken = store.take_callback(Some(MARK), 3, &named, NOW).expect("taken").expect("fresh");
    let at = |job: &Job| (job.id, job.wake_at.0);
    let wanted = [(late.id, 1_000), (soon.id, 10), (ended.id, 9_000)];
    assert_eq!(woken.iter().map(at).collect::<Vec<_>>(), wanted);
    for job in &woken {
        assert_eq!(store.job(job.id).expect("read").as_ref(), Some(job));
    }
    let open = store.open_jobs(10).expect("read");
    assert_eq!(open, [(Timestamp(10), soon.id), (Timestamp(1_000), late.id)]);

    let other = job(9_000, JobState::Processing);
    assert_eq!(store.take_callback(Some(MARK), 3, &[other.id], NOW).expect("answered"), None);
    assert_eq!(store.job(other.id).expect("read"), Some(other.clone()), "nothing happens twice");
    for _ in 0..2 {
        let woken = store.take_callback(None, 3, &[other.id], NOW).expect("taken").expect("always");
        assert_eq!(at(&woken[0]), (other.id, 1_000));
    }
}

pub fn old_marks_are_swept(store: &dyn CallbackStore) {
    for period in [1, 5, 9] {
        assert!(take(store, MARK, period));
        assert!(take(store, OTHER, period));
    }
    assert_eq!(store.sweep_callbacks(9, 3).expect("swept"), 3);
    assert_eq!(store.sweep_callbacks(9, 100).expect("swept"), 1);
    assert!(!take(store, MARK, 9), "it is kept");
}
