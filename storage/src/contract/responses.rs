//! The contract of [`ResponseStore`].

use atelier_domain::id::{ResponseId, UserId};
use atelier_domain::response::StoredResponse;
use atelier_domain::store::{FileStore, ResponseStore, StoreError, SweepPage};
use atelier_domain::time::Timestamp;

fn response(owner: UserId, expires: u64) -> StoredResponse {
    StoredResponse {
        id: ResponseId::new(),
        owner,
        previous: Some(ResponseId::new()),
        created: Timestamp(1),
        expires: Timestamp(expires),
        input: vec!["{\"type\":\"message\"}".to_owned()],
        output: vec!["{\"a\":\"漢字\"}".to_owned()],
        answer: "{\"id\":\"resp_1\"}".to_owned(),
    }
}

pub fn a_response_is_its_owners_alone_and_counts_to_their_bytes<S: ResponseStore + FileStore>(store: &S) {
    let (alice, bob) = (UserId::new(), UserId::new());
    let kept = response(alice, 50);
    store.create_response(&kept, 1_000).expect("kept");
    assert_eq!(store.response_of(alice, kept.id).expect("read"), Some(kept.clone()));
    assert_eq!(store.response_of(bob, kept.id).expect("read"), None);
    assert_eq!(store.file_use_of(alice).expect("read").bytes, kept.bytes());
    store.create_response(&response(bob, 50), 1_000).expect("kept");
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = store.responses_of(alice, after, 1).expect("read");
        found.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, std::slice::from_ref(&kept), "hers, on pages that look at one answer of anybody's");
    assert!(matches!(store.create_response(&kept, 1_000), Err(StoreError::Exists { .. })));
    let second = store.create_response(&response(alice, 50), kept.bytes() * 2 - 1);
    assert!(matches!(second, Err(StoreError::QuotaExceeded { .. })), "{second:?}");
    assert!(!store.remove_response(bob, kept.id).expect("asked"), "another's");
    assert!(store.remove_response(alice, kept.id).expect("removed"));
    assert!(!store.remove_response(alice, kept.id).expect("asked"), "once");
    assert_eq!(store.file_use_of(alice).expect("read").bytes, 0);
}

pub fn expired_responses_come_in_the_order_of_their_end(store: &dyn ResponseStore) {
    let owner = UserId::new();
    let made: Vec<_> = [30, 10, 20, 99].map(|expires| response(owner, expires)).into();
    for response in &made {
        store.create_response(response, u64::MAX).expect("kept");
    }
    let page = |now, page: &SweepPage| store.expired_responses(Timestamp(now), page).expect("read");
    let over = |now, limit| page(now, &SweepPage::first(limit)).rows;
    assert_eq!(over(30, 10), [1, 2, 0].map(|n: usize| (owner, made[n].id)));
    let first = page(30, &SweepPage::first(1));
    assert_eq!(first.rows, [(owner, made[1].id)]);
    let second = page(30, &SweepPage { after: first.next, limit: 5 });
    assert_eq!((second.rows, second.next), ([2, 0].map(|n: usize| (owner, made[n].id)).into(), None));
    assert!(store.remove_response(owner, made[1].id).expect("removed"));
    assert_eq!(over(20, 10), [(owner, made[2].id)]);
    assert!(over(9, 10).is_empty());
}
