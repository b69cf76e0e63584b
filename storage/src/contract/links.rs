//! The contract of [`LinkStore`].

use atelier_domain::id::{LinkId, UserId};
use atelier_domain::link::Link;
use atelier_domain::store::{LinkStore, StoreError, SweepPage};
use atelier_domain::time::Timestamp;

use super::sample;

fn create(store: &dyn LinkStore, link: Link) -> Link {
    store.create_link(&link).expect("created");
    link
}

pub fn a_link_is_read_as_it_was_created(store: &dyn LinkStore) {
    let link = create(store, sample::link(UserId::new()));
    assert_eq!(store.link(link.id).expect("read"), Some(link.clone()));
    assert_eq!(store.link(LinkId::new()).expect("read"), None);
    let other = Link { id: link.id, ..sample::link(UserId::new()) };
    assert!(matches!(store.create_link(&other), Err(StoreError::Exists { .. })));
    assert_eq!(store.link_count(other.owner).expect("counted"), 0, "nothing of it stays");
}

pub fn links_are_listed_newest_first_in_pages(store: &dyn LinkStore) {
    let owner = UserId::from_bytes([0x80; 16]);
    for other in [[0x7f; 16], [0x81; 16]] {
        create(store, sample::link(UserId::from_bytes(other)));
    }
    let mut made: Vec<_> = (0..15).map(|_| create(store, sample::link(owner))).collect();
    made.reverse();
    let first = store.links_of(owner, None, 10).expect("read");
    assert_eq!(first, made[..10]);
    assert_eq!(store.links_of(owner, Some(first[9].id), 10).expect("read"), made[10..]);
    assert_eq!(store.link_count(owner).expect("counted"), 15);
}

pub fn another_owners_link_cannot_be_removed(store: &dyn LinkStore) {
    let link = create(store, sample::link(UserId::new()));
    assert!(!store.remove_link(UserId::new(), link.id).expect("answered"));
    assert_eq!(store.link(link.id).expect("read"), Some(link.clone()));
    assert!(store.remove_link(link.owner, link.id).expect("removed"));
    assert!(!store.remove_link(link.owner, link.id).expect("answered"));
    assert_eq!(store.link(link.id).expect("read"), None);
    assert!(store.links_of(link.owner, None, 10).expect("read").is_empty());
    assert!(over(store, u64::MAX).is_empty());
}

pub fn expired_links_come_in_the_order_of_their_end(store: &dyn LinkStore) {
    let owner = UserId::new();
    let ending = |at| create(store, Link { expires: Timestamp(at), ..sample::link(owner) });
    let (later, soon) = (ending(300), ending(255));
    assert!(over(store, 254).is_empty());
    assert_eq!(over(store, 255), std::slice::from_ref(&soon));
    assert_eq!(over(store, 300), [soon.clone(), later.clone()]);
    let first = store.expired_links(Timestamp(300), &SweepPage::first(1)).expect("read");
    assert_eq!(first.rows, [soon]);
    let page = SweepPage { after: first.next, limit: 2 };
    let rest = store.expired_links(Timestamp(300), &page).expect("read");
    assert_eq!((rest.rows, rest.next), (vec![later], None));
}

fn over(store: &dyn LinkStore, now: u64) -> Vec<Link> {
    store.expired_links(Timestamp(now), &SweepPage::first(10)).expect("read").rows
}
