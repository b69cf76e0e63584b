//! The contract of [`AuditStore`].

use atelier_domain::audit::{Actor, AuditKind, AuditPage, AuditRecord, AuditStore};
use atelier_domain::id::{AuditId, KeyId, UserId};
use atelier_domain::store::{StoreError, SweepPage};
use atelier_domain::time::Timestamp;

fn record(kind: AuditKind, user: Option<UserId>) -> AuditRecord {
    AuditRecord {
        id: AuditId::new(),
        kind,
        time: Timestamp(7),
        actor: user.map(|user| Actor { user, key: KeyId::new() }),
        instance: None,
        plugin: None,
        action: "POST /api/v1/users/{id}/disable".to_owned(),
        target: Some("/api/v1/users/x/disable".to_owned()),
        request_id: "req_1".to_owned(),
        status: Some(200),
        code: None,
        count: 1,
    }
}

fn page(limit: usize) -> AuditPage {
    AuditPage { limit, ..AuditPage::default() }
}

pub fn an_action_is_written_before_it_is_done_and_given_its_end_once<S: AuditStore>(store: &S) {
    let done = record(AuditKind::Administration, Some(UserId::new()));
    let begun = AuditRecord { status: None, ..done.clone() };
    store.audit(std::slice::from_ref(&begun)).expect("written");
    assert_eq!(store.audited(&page(9), 9).expect("read").records, [begun]);
    let end = AuditRecord { action: "another".to_owned(), count: 9, ..done.clone() };
    store.audit(&[end]).expect("written");
    let ended = store.audited(&page(9), 9).expect("read").records;
    assert_eq!(ended, std::slice::from_ref(&done), "its status and nothing else");
    let again = store.audit(&[AuditRecord { status: Some(500), ..done.clone() }]);
    assert!(matches!(again, Err(StoreError::Exists { .. })), "what is written stays: {again:?}");
    assert_eq!(store.audited(&page(9), 9).expect("read").records, [done]);
}

pub fn records_are_listed_newest_first_by_kind_and_user_in_pages<S: AuditStore>(store: &S) {
    let (alice, bob) = (UserId::new(), UserId::new());
    let mut made: Vec<_> = [
        (AuditKind::Administration, Some(alice)),
        (AuditKind::KeyRefused, None),
        (AuditKind::Administration, Some(bob)),
        (AuditKind::ScopeRefused, Some(alice)),
        (AuditKind::Administration, Some(alice)),
    ]
    .map(|(kind, user)| record(kind, user))
    .into();
    store.audit(&made).expect("written");
    made.reverse();
    let first = store.audited(&page(2), 100).expect("read");
    assert_eq!(first.records, made[..2]);
    let next = AuditPage { before: first.next, ..page(100) };
    let rest = store.audited(&next, 100).expect("read");
    assert_eq!((rest.records.as_slice(), rest.next), (&made[2..], None));
    let of_alice = AuditPage { user: Some(alice), kind: Some(AuditKind::Administration), ..page(100) };
    let found = store.audited(&of_alice, 100).expect("read");
    assert_eq!(found.records, [made[0].clone(), made[4].clone()]);
    // Where little of what is there is wanted, a page looks at so many and says where it stopped.
    let few = AuditPage { kind: Some(AuditKind::KeyRefused), ..page(100) };
    let part = store.audited(&few, 2).expect("read");
    assert_eq!((part.records.len(), part.next), (0, Some(made[1].id)));
    let part = store.audited(&AuditPage { before: part.next, ..few }, 2).expect("read");
    assert_eq!((part.records, part.next), (vec![made[3].clone()], Some(made[3].id)));
}

pub fn old_records_are_swept_and_no_others<S: AuditStore>(store: &S) {
    let at = |made| AuditRecord {
        id: AuditId::derived(Timestamp(made), &[&made.to_be_bytes()]),
        ..record(AuditKind::Administration, None)
    };
    let made: Vec<_> = (1..=5).map(at).collect();
    store.audit(&made).expect("written");
    let first = store.sweep_audit(Timestamp(4), &SweepPage::first(2)).expect("swept");
    assert_eq!(first.removed, 2);
    let rest = store.sweep_audit(Timestamp(4), &SweepPage { after: first.next, limit: 2 }).expect("swept");
    assert_eq!((rest.removed, rest.next), (1, None));
    let left = store.audited(&page(9), 9).expect("read").records;
    assert_eq!(left, [made[4].clone(), made[3].clone()]);
}
