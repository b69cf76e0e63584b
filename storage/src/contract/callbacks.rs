//! The contract of [`CallbackStore`].

use atelier_domain::store::{CallbackMark, CallbackStore};

const MARK: CallbackMark = CallbackMark([7; 32]);
const OTHER: CallbackMark = CallbackMark([8; 32]);

pub fn a_callback_is_fresh_once_in_this_period_and_the_next(store: &dyn CallbackStore) {
    assert!(store.mark_callback(MARK, 10).expect("marked"));
    assert!(!store.mark_callback(MARK, 10).expect("answered"));
    assert!(!store.mark_callback(MARK, 11).expect("answered"));
    assert!(store.mark_callback(OTHER, 10).expect("another"));
    assert!(store.mark_callback(MARK, 12).expect("its time is over"));
}

pub fn of_many_who_bring_one_callback_at_once_one_is_first(store: &dyn CallbackStore) {
    let fresh = std::thread::scope(|scope| {
        let mark = || store.mark_callback(MARK, 3).expect("answered");
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(mark)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).filter(|fresh| *fresh).count()
    });
    assert_eq!(fresh, 1);
}

pub fn a_mark_can_be_taken_back(store: &dyn CallbackStore) {
    assert!(store.mark_callback(MARK, 10).expect("marked"));
    store.unmark_callback(MARK, 10).expect("taken back");
    assert!(store.mark_callback(MARK, 10).expect("as if it had not been here"));
}

pub fn old_marks_are_swept(store: &dyn CallbackStore) {
    for period in [1, 5, 9] {
        assert!(store.mark_callback(MARK, period).expect("marked"));
        assert!(store.mark_callback(OTHER, period).expect("marked"));
    }
    assert_eq!(store.sweep_callbacks(9, 3).expect("swept"), 3);
    assert_eq!(store.sweep_callbacks(9, 100).expect("swept"), 1);
    assert!(!store.mark_callback(MARK, 9).expect("answered"), "it is kept");
}
