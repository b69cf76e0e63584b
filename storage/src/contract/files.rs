//! The contract of [`FileStore`], and of names of blobs, which jobs give as well.

use atelier_domain::blob::BlobId;
use atelier_domain::file::{FilePage, FileQuota, FileUse, Purpose, StoredFile};
use atelier_domain::id::{FileId, UserId};
use atelier_domain::job::{Job, JobState, StoredOutput};
use atelier_domain::store::{FileStore, JobStore, Overdue, StoreError, SweepPage};
use atelier_domain::time::Timestamp;

use super::sample;

const PLENTY: FileQuota = FileQuota { bytes: u64::MAX, files: u64::MAX };
const NOW: Timestamp = Timestamp(5_000);

fn bytes_of(store: &dyn FileStore, owner: UserId) -> u64 {
    store.file_use_of(owner).expect("read").bytes
}

/// All that is over, a row at a time.
fn each<T>(read: impl Fn(&SweepPage) -> Overdue<T>) -> Vec<T> {
    let (mut page, mut rows) = (SweepPage::first(1), Vec::new());
    loop {
        let found = read(&page);
        assert!(found.rows.len() <= 1 && found.unreadable.is_empty());
        rows.extend(found.rows);
        let Some(next) = found.next else { return rows };
        page.after = Some(next);
    }
}

fn create(store: &dyn FileStore, file: StoredFile) -> StoredFile {
    store.create_file(&file, &PLENTY).expect("created");
    file
}

fn page(after: Option<FileId>, limit: usize, newest_first: bool) -> FilePage {
    FilePage { after, limit, newest_first, purpose: None }
}

/// All pages of an owner, one behind the other.
fn all(store: &dyn FileStore, owner: UserId, first: FilePage) -> Vec<StoredFile> {
    let mut listed: Vec<StoredFile> = Vec::new();
    loop {
        let next = FilePage { after: listed.last().map(|file| file.id), ..first };
        let found = store.files_of(owner, &next).expect("read");
        assert!(found.len() <= first.limit);
        if found.is_empty() {
            return listed;
        }
        listed.extend(found);
    }
}

pub fn a_file_is_read_as_it_was_created(store: &dyn FileStore) {
    let file = create(store, sample::file(UserId::new()));
    assert_eq!(store.file_of(file.owner, file.id).expect("read"), Some(file.clone()));
    assert_eq!(store.file_of(file.owner, FileId::new()).expect("read"), None);
    assert_eq!(bytes_of(store, file.owner), file.size);
}

pub fn a_second_file_of_the_same_id_is_refused(store: &dyn FileStore) {
    let file = create(store, sample::file(UserId::new()));
    let other = StoredFile { id: file.id, ..sample::file(UserId::new()) };
    assert!(matches!(store.create_file(&other, &PLENTY), Err(StoreError::Exists { .. })));
    assert_eq!(bytes_of(store, other.owner), 0, "nothing of it stays");
    assert!(!store.is_blob_named(&other.blob).expect("read"));
    assert_eq!(store.file_of(file.owner, file.id).expect("read"), Some(file));
}

pub fn another_owners_file_is_none(store: &dyn FileStore) {
    let file = create(store, sample::file(UserId::new()));
    let bob = UserId::new();
    assert_eq!(store.file_of(bob, file.id).expect("read"), None);
    assert!(store.files_of(bob, &page(None, 10, true)).expect("read").is_empty());
    assert!(!store.remove_file(bob, file.id, NOW).expect("answered"));
    assert_eq!(store.file_of(file.owner, file.id).expect("read"), Some(file));
}

pub fn files_are_listed_either_way_in_pages(store: &dyn FileStore) {
    // Owners with the lowest and the highest id lie on both sides.
    let owner = UserId::from_bytes([0x80; 16]);
    for other in [[0; 16], [0x7f; 16], [0x81; 16], [0xff; 16]] {
        create(store, sample::file(UserId::from_bytes(other)));
    }
    let mut made: Vec<_> = (0..25).map(|_| create(store, sample::file(owner))).collect();
    assert_eq!(all(store, owner, page(None, 10, false)), made);
    made.reverse();
    assert_eq!(all(store, owner, page(None, 10, true)), made);
}

pub fn files_are_listed_by_their_purpose(store: &dyn FileStore) {
    let owner = UserId::new();
    let made: Vec<_> = (0..30)
        .map(|n| {
            create(store, StoredFile { purpose: Purpose::ALL[n % Purpose::ALL.len()], ..sample::file(owner) })
        })
        .collect();
    for purpose in Purpose::ALL {
        let mut expected: Vec<_> = made.iter().filter(|file| file.purpose == purpose).cloned().collect();
        let first = FilePage { purpose: Some(purpose), ..page(None, 2, false) };
        assert_eq!(all(store, owner, first), expected);
        expected.reverse();
        assert_eq!(all(store, owner, FilePage { newest_first: true, ..first }), expected);
    }
}

pub fn a_quota_is_never_exceeded(store: &dyn FileStore) {
    let owner = UserId::new();
    let sized = |size| StoredFile { size, ..sample::file(owner) };
    let quota = FileQuota { bytes: 100, files: 4 };
    store.create_file(&sized(60), &quota).expect("60 of 100");
    match store.create_file(&sized(41), &quota) {
        Err(StoreError::QuotaExceeded { used: 60, wanted: 41, max: 100 }) => {}
        other => panic!("{other:?}"),
    }
    store.create_file(&sized(40), &quota).expect("100 of 100");
    assert!(store.create_file(&sized(1), &quota).is_err());
    store.create_file(&sized(0), &quota).expect("nothing more");
    assert!(store.create_file(&sized(u64::MAX), &PLENTY).is_err(), "no overflow");
    store.create_file(&sized(0), &quota).expect("4 of 4");
    let fifth = store.create_file(&sized(0), &quota);
    assert!(matches!(fifth, Err(StoreError::TooManyFiles { max: 4 })), "{fifth:?}");
    let used = FileUse { bytes: 100, files: 4, ..FileUse::default() };
    assert_eq!(store.file_use_of(owner).expect("read"), used);
    store.create_file(&sample::file(UserId::new()), &quota).expect("another's quota is their own");
}

pub fn what_is_removed_counts_until_it_is_gone(store: &dyn FileStore) {
    let (owner, quota) = (UserId::new(), FileQuota { bytes: 100, files: 3 });
    let sized = |size| StoredFile { size, ..sample::file(owner) };
    // Whoever removes what they have has room at once, and twice what they may have is on the disk at most.
    for now in [10, 20] {
        let file = sized(100);
        store.create_file(&file, &quota).expect("room");
        assert!(store.remove_file(owner, file.id, Timestamp(now)).expect("removed"));
    }
    match store.create_file(&sized(1), &quota) {
        Err(StoreError::StillLeaving { bytes: 200, files: 2 }) => {}
        other => panic!("{other:?}"),
    }
    let used = FileUse { leaving_bytes: 200, leaving_files: 2, ..FileUse::default() };
    assert_eq!(store.file_use_of(owner).expect("read"), used);
    assert!(each(|page| store.leaving_files(Timestamp(10), page).expect("read")).is_empty());
    let leaving = each(|page| store.leaving_files(Timestamp(21), page).expect("read"));
    assert_eq!(leaving.iter().map(|file| file.removed.0).collect::<Vec<_>>(), [10, 20]);
    assert!(store.forget_leaving(&leaving[0]).expect("forgotten"));
    assert!(!store.forget_leaving(&leaving[0]).expect("answered"), "once");
    store.create_file(&sized(100), &quota).expect("room");
    assert!(store.create_file(&sized(0), &FileQuota { bytes: 1_000, files: 1 }).is_err());
    // Their number is bounded in the same way.
    let (many, quota) = (UserId::new(), FileQuota { bytes: 100, files: 1 });
    for _ in 0..2 {
        let file = StoredFile { size: 0, ..sample::file(many) };
        store.create_file(&file, &quota).expect("room");
        assert!(store.remove_file(many, file.id, NOW).expect("removed"));
    }
    let refused = store.create_file(&StoredFile { size: 0, ..sample::file(many) }, &quota);
    assert!(matches!(refused, Err(StoreError::StillLeaving { bytes: 0, files: 2 })), "{refused:?}");
}

pub fn many_who_share_a_quota_never_exceed_it(store: &dyn FileStore) {
    const THREADS: usize = 16;
    let (owner, quota) = (UserId::new(), FileQuota { bytes: 1_050, files: u64::MAX });
    let made = std::thread::scope(|scope| {
        let make = || (0..4).filter(|_| store.create_file(&sample::file(owner), &quota).is_ok()).count();
        let makers: Vec<_> = (0..THREADS).map(|_| scope.spawn(make)).collect();
        makers.into_iter().map(|maker| maker.join().expect("no panic")).sum::<usize>()
    });
    assert_eq!((made, bytes_of(store, owner)), (10, 1_000));
}

pub fn a_removed_file_gives_its_bytes_back_once(store: &dyn FileStore) {
    let owner = UserId::new();
    let (first, second) = (create(store, sample::file(owner)), create(store, sample::file(owner)));
    assert!(store.remove_file(owner, first.id, NOW).expect("removed"));
    assert!(!store.remove_file(owner, first.id, NOW).expect("answered"));
    assert_eq!(bytes_of(store, owner), second.size);
    assert_eq!(store.file_of(owner, first.id).expect("read"), None);
    assert_eq!(store.files_of(owner, &page(None, 10, true)).expect("read"), [second]);
}

pub fn expired_files_come_in_the_order_of_their_end(store: &dyn FileStore) {
    let owner = UserId::new();
    create(store, sample::file(owner));
    let ending = |at| create(store, StoredFile { expires: Some(Timestamp(at)), ..sample::file(owner) });
    let (later, soon, last) = (ending(300), ending(255), ending(u64::MAX));
    let over = |now| each(|page| store.expired_files(Timestamp(now), page).expect("read"));
    assert!(over(254).is_empty());
    assert_eq!(over(255), std::slice::from_ref(&soon));
    assert_eq!(over(1_000), [soon.clone(), later.clone()]);
    let first = store.expired_files(Timestamp(1_000), &SweepPage::first(10)).expect("read");
    assert_eq!((first.rows.len(), first.next), (2, None));
    assert!(store.remove_file(owner, soon.id, NOW).expect("removed"));
    assert_eq!(over(u64::MAX), [later, last]);
}

pub fn a_blob_is_named_as_long_as_a_row_names_it<S: FileStore + JobStore>(store: &S) {
    let owner = UserId::new();
    let named = |blob: &BlobId| store.is_blob_named(blob).expect("read");
    let blob = BlobId([7; 32]);
    assert!(!named(&blob));
    let files = [0, 1].map(|_| create(store, StoredFile { blob, ..sample::file(owner) }));
    // The sample's input is [7; 32], its output [9; 32].
    let job = sample::job(owner);
    store.create_job(&(&job).into()).expect("created");
    let output = BlobId([9; 32]);
    assert!(named(&output) && !named(&BlobId([8; 32])) && !named(&BlobId([0xff; 32])));
    for file in files {
        assert!(named(&blob));
        assert!(store.remove_file(owner, file.id, NOW).expect("removed"));
    }
    assert!(named(&blob), "the job names it still");
    let made = BlobId([0xff; 32]);
    store
        .change_job(job.id, &|job: &mut Job| {
            job.state = JobState::Succeeded;
            job.request.inputs.clear();
            job.outputs.retain(|output| matches!(output, StoredOutput::Text(_)));
            job.outputs.push(StoredOutput::Media {
                blob: made,
                size: 1,
                content_type: "image/png".to_owned(),
                revised_prompt: None,
                seed: None,
                attributes: Vec::new(),
            });
            true
        })
        .expect("changed");
    assert_eq!((named(&blob), named(&output), named(&made)), (false, false, true));
}

pub fn a_refused_file_names_nothing(store: &dyn FileStore) {
    let file = sample::file(UserId::new());
    let quota = FileQuota { bytes: file.size - 1, files: 1 };
    assert!(store.create_file(&file, &quota).is_err());
    assert!(!store.is_blob_named(&file.blob).expect("read"));
}
