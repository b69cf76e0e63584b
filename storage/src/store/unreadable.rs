//! Sweeps over tables in which a row cannot be read, as a program of another version may leave it.

use atelier_domain::blob::BlobId;
use atelier_domain::event::EventKind;
use atelier_domain::file::{FileQuota, Purpose, StoredFile};
use atelier_domain::id::{DeliveryId, EndpointId, FileId, LinkId, MessageId, UserId};
use atelier_domain::idempotency::{Claim, ClaimKey, ClaimState, ClaimStore as _};
use atelier_domain::link::{Artifact, Link, LinkKind};
use atelier_domain::store::{
    DeliveryKey, DeliveryStore as _, EndpointStore as _, FileStore as _, LinkStore as _, SweepPage,
};
use atelier_domain::time::Timestamp;
use atelier_domain::webhook::{Delivery, Message, WebhookEndpoint};

use super::Store;
use crate::keys;
use crate::schema::Table;

const NOW: Timestamp = Timestamp(1_000);
const ALL: usize = 100;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path().join("store")).expect("a store");
    store.unseal(&crate::contract::sample::keeper()).expect("unsealed");
    (folder, store)
}

fn spoil(store: &Store, table: Table, key: &[u8]) {
    store.engine().write_soon(|txn| txn.put(table, key, b"\xff no row")).expect("written");
}

fn files(store: &Store, owner: UserId) -> Vec<StoredFile> {
    let made = (1..=3).map(|n| StoredFile {
        id: FileId::new(),
        owner,
        blob: BlobId([n; 32]),
        size: 1,
        content_type: "text/plain".to_owned(),
        name: "a.txt".to_owned(),
        purpose: Purpose::UserData,
        created: Timestamp(0),
        expires: Some(Timestamp(u64::from(n))),
    });
    let made: Vec<_> = made.collect();
    for file in &made {
        store.create_file(file, &FileQuota { bytes: 10, files: 10 }).expect("created");
    }
    made
}

#[test]
fn files_and_links_that_can_be_read_are_swept_beside_one_that_cannot() {
    let (_folder, store) = store();
    let owner = UserId::new();
    let files = files(&store, owner);
    spoil(&store, Table::Files, files[0].id.as_bytes());
    let over = store.expired_files(NOW, &SweepPage::first(ALL)).expect("read");
    assert_eq!((over.rows.as_slice(), over.unreadable.len()), (&files[1..], 1));
    let first = store.expired_files(NOW, &SweepPage::first(1)).expect("read");
    let next = SweepPage { after: first.next, limit: 1 };
    assert_eq!(store.expired_files(NOW, &next).expect("read").rows, files[1..2], "it stands in nobody's way");

    let links: Vec<Link> = (1..=3)
        .map(|at| Link {
            id: LinkId::new(),
            owner,
            artifact: Artifact::File(files[0].id),
            kind: LinkKind::Share,
            title: None,
            created: Timestamp(0),
            expires: Timestamp(at),
        })
        .collect();
    links.iter().for_each(|link| store.create_link(link).expect("created"));
    spoil(&store, Table::Links, links[1].id.as_bytes());
    let over = store.expired_links(NOW, &SweepPage::first(ALL)).expect("read");
    assert_eq!((over.rows, over.unreadable.len()), (vec![links[0].clone(), links[2].clone()], 1));
}

#[test]
fn expired_keys_that_can_be_read_are_swept_beside_one_that_cannot_and_the_store_serves_on() {
    let (_folder, store) = store();
    let owner = UserId::new();
    let made: Vec<ClaimKey> = (0..3).map(|n| ClaimKey::new(owner, "POST /x", &n.to_string())).collect();
    for (at, key) in (1..).zip(&made) {
        let claim = Claim { payload: "p".to_owned(), expires: Timestamp(at), state: ClaimState::Begun };
        store.put_claim(key, &claim, None, 100).expect("put");
    }
    spoil(&store, Table::Claims, &keys::claim(&made[0]));
    let first = store.sweep_claims(NOW, &SweepPage::first(1)).expect("swept");
    assert_eq!((first.removed, first.unreadable.len()), (0, 1));
    let rest = store.sweep_claims(NOW, &SweepPage { after: first.next, limit: ALL }).expect("swept");
    assert_eq!((rest.removed, rest.unreadable.len(), rest.next), (2, 0, None));
    assert!(store.claim(&made[0]).is_err(), "it stays, and is told as what it is");
    assert_eq!(store.claim(&made[1]).expect("the store serves on"), None);
}

#[test]
fn a_removed_file_that_cannot_be_read_keeps_no_other_from_being_forgotten() {
    let (_folder, store) = store();
    let owner = UserId::new();
    for file in files(&store, owner) {
        assert!(store.remove_file(owner, file.id, Timestamp(5)).expect("removed"));
    }
    let leaving = store.leaving_files(NOW, &SweepPage::first(ALL)).expect("read").rows;
    spoil(&store, Table::FilesLeaving, &keys::files::ending(Timestamp(5), leaving[0].id.as_bytes()));
    let left = store.leaving_files(NOW, &SweepPage::first(ALL)).expect("read");
    assert_eq!((left.rows.as_slice(), left.unreadable.len()), (&leaving[1..], 1));
}

#[test]
fn old_deliveries_that_can_be_read_are_swept_beside_one_that_cannot() {
    let (_folder, store) = store();
    let endpoint = WebhookEndpoint {
        id: EndpointId::new(),
        owner: UserId::new(),
        url: "https://example.com/".to_owned(),
        description: String::new(),
        events: EventKind::ALL.to_vec(),
        created: Timestamp(0),
        secrets: Vec::new(),
        disabled: None,
        failing_since: None,
    };
    assert!(store.create_endpoint(&endpoint, 1).expect("created"));
    let made: Vec<Delivery> = (1..=4)
        .map(|at| {
            let message = Message::Test { id: MessageId::new(), time: Timestamp(at) };
            Delivery::new(&endpoint, message, Timestamp(at))
        })
        .collect();
    for delivery in &made {
        assert!(store.create_delivery(delivery).expect("created"));
    }
    let key = |id: DeliveryId| keys::delivery(DeliveryKey { endpoint: endpoint.id, id });
    spoil(&store, Table::Deliveries, &key(made[0].id));
    let due = store.due_deliveries(None, NOW, ALL, ALL).expect("read").due;
    let owners: Vec<_> = due.iter().map(|due| due.owner).collect();
    assert_eq!(owners, [None, Some(endpoint.owner), Some(endpoint.owner), Some(endpoint.owner)]);
    let swept = store.sweep_deliveries(Timestamp(4), &SweepPage::first(ALL)).expect("swept");
    assert_eq!((swept.removed, swept.unreadable.len(), swept.next), (2, 1, None));
    let is_left = |delivery: &&Delivery| {
        store.engine().get(Table::DeliveriesById, delivery.id.as_bytes()).expect("read").is_some()
    };
    let left: Vec<_> = made.iter().filter(is_left).map(|delivery| delivery.created.0).collect();
    assert_eq!(left, [1, 4]);
}
