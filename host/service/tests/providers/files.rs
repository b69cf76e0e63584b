//! Uploads and the sweep, on the real stores.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::blob::{Blob, BlobStore as _};
use atelier_domain::file::{FileQuota, Purpose, StoredFile};
use atelier_domain::id::{FileId, JobId, LinkId};
use atelier_domain::job::{Job, JobState, StoredInput, StoredRequest, StoredSource};
use atelier_domain::link::{Artifact, Link, LinkKind};
use atelier_domain::model::Task;
use atelier_domain::store::{JobStore as _, LinkStore as _};
use atelier_domain::time::{Clock as _, SystemClock, Timestamp};
use atelier_service::caller::Caller;
use atelier_service::files::{FileLimits, FilePorts, Files, NewFile, Swept};
use atelier_service::meter::NoMeter;
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::{Blobs, Store};
use bytes::Bytes;

use crate::clock::TestClock;
use crate::disk::plenty;
use crate::jobs::{caller, stores};

pub const GRACE: Duration = Duration::from_secs(48 * 3_600);

pub fn files(store: &Arc<Store>, blobs: &Arc<Blobs>, clock: &Arc<TestClock>) -> Files {
    let ports = FilePorts {
        store: store.clone(),
        links: store.clone(),
        blobs: blobs.clone(),
        pool: StoragePool::new(StoragePoolLimits::default()),
        clock: clock.clone(),
        room: plenty(),
        meter: Arc::new(NoMeter),
    };
    let quota = FileQuota { bytes: 10 << 20, files: 20 };
    Files::new(ports, FileLimits { quota, uploads_per_user: 3, grace: GRACE })
}

/// A clock that stands, at the machine's time: that of the files' own times.
pub fn clock() -> Arc<TestClock> {
    Arc::new(TestClock(SystemClock::default().now().0.into()))
}

pub async fn keep(files: &Files, who: &Caller, content: &[u8], lasts: Option<Duration>) -> StoredFile {
    let mut upload = files.begin(who, None).await.expect("begun");
    for piece in content.chunks(100_000) {
        upload.append(Bytes::copy_from_slice(piece)).await.expect("taken");
    }
    let new = NewFile {
        name: "a.bin".to_owned(),
        purpose: Purpose::UserData,
        content_type: "application/octet-stream".to_owned(),
        expires_after: lasts,
    };
    upload.finish(new).await.expect("kept")
}

fn orphan(blobs: &Blobs, content: &[u8]) -> Blob {
    let mut writer = blobs.create("").expect("begun");
    writer.append(content).expect("appended");
    writer.finish().expect("finished")
}

fn job_with(owner: &Caller, blob: &Blob) -> Job {
    let input = StoredInput {
        role: "image".to_owned(),
        source: StoredSource::Blob { id: blob.id, size: blob.size },
        content_type: None,
        name: None,
        attributes: Vec::new(),
    };
    Job {
        id: JobId::new(),
        owner: owner.user(),
        state: JobState::Succeeded,
        request: StoredRequest {
            inputs: vec![input],
            ..StoredRequest::new("scripted/painter".to_owned(), Task::ImageEdit)
        },
        request_id: None,
        trace: None,
        created: Timestamp(0),
        started: None,
        finished: None,
        deadline: Timestamp(0),
        progress: None,
        attempt: 0,
        charging: false,
        cancel_requested: false,
        wake_at: Timestamp(0),
        ticket: None,
        outputs: Vec::new(),
        usage: Vec::new(),
        error: None,
        bill: atelier_domain::money::Bill::default(),
        is_erased: false,
    }
}

#[tokio::test]
async fn content_that_nothing_names_goes_after_its_time_of_grace_and_no_other() {
    let (_folder, store, blobs) = stores();
    let (clock, alice) = (clock(), caller());
    let files = files(&store, &blobs, &clock);
    // What a crash between content and row leaves.
    let left = orphan(&blobs, &[7; 500_000]);
    let named = orphan(&blobs, b"an input");
    store.create_job(&(&job_with(&alice, &named)).into()).expect("created");
    let file = keep(&files, &alice, &[9; 400_000], None).await;
    assert_eq!(files.sweep(None).await.expect("swept"), (Swept::default(), None), "too young");
    clock.pass_seconds(GRACE.as_secs() + 60);
    let (swept, next) = files.sweep(None).await.expect("swept");
    assert_eq!((swept, next), (Swept { blobs: 1, ..Swept::default() }, None));
    assert!(blobs.open(&left.id, "").expect("read").is_none());
    assert!(blobs.open(&named.id, "").expect("read").is_some());
    assert_eq!(files.open(&file).await.expect("there").size, 400_000);
    // A deleted file's content goes, unless a job was given it.
    store.create_job(&(&job_with(&alice, &files.open(&file).await.expect("there"))).into()).expect("created");
    let other = keep(&files, &alice, b"another", None).await;
    files.remove(&alice, file.id).await.expect("removed");
    files.remove(&alice, other.id).await.expect("removed");
    let (swept, _) = files.sweep(None).await.expect("swept");
    assert_eq!(swept.blobs, 1);
    assert!(blobs.open(&file.blob, "").expect("read").is_some());
    assert!(blobs.open(&other.blob, "").expect("read").is_none());
}

#[tokio::test]
async fn files_and_links_whose_time_is_over_go() {
    let (_folder, store, blobs) = stores();
    let (clock, alice) = (clock(), caller());
    let files = files(&store, &blobs, &clock);
    let day = Duration::from_secs(86_400);
    let (short, long) =
        (keep(&files, &alice, b"short", Some(day)).await, keep(&files, &alice, b"long", Some(9 * day)).await);
    let mut link = Link {
        id: LinkId::new(),
        owner: alice.user(),
        artifact: Artifact::File(FileId::new()),
        kind: LinkKind::Share,
        title: None,
        created: clock.now(),
        expires: clock.now().plus(day),
    };
    store.create_link(&link).expect("created");
    (link.id, link.expires) = (LinkId::new(), clock.now().plus(9 * day));
    store.create_link(&link).expect("created");
    clock.pass_seconds(day.as_secs());
    let gone = files.get(&alice, short.id).await;
    assert!(matches!(gone, Err(ServiceError::NotFound { .. })), "over is over, swept or not");
    let (swept, _) = files.sweep(None).await.expect("swept");
    assert_eq!((swept.files, swept.links), (1, 1));
    files.get(&alice, long.id).await.expect("still there");
    assert_eq!(store.link_count(alice.user()).expect("counted"), 1);
}

#[tokio::test]
async fn a_refused_or_broken_off_upload_leaves_nothing() {
    let (folder, store, blobs) = stores();
    let (clock, alice) = (clock(), caller());
    let files = files(&store, &blobs, &clock);
    let mut upload = files.begin(&alice, Some(Purpose::FineTune)).await.expect("begun");
    upload.append(Bytes::from(b"x\n".repeat(2 << 20))).await.expect_err("no JSON Lines");
    drop(upload);
    let mut upload = files.begin(&alice, Some(Purpose::UserData)).await.expect("begun");
    upload.append(Bytes::from(vec![b'x'; 9 << 20])).await.expect("taken");
    let mut second = files.begin(&alice, Some(Purpose::UserData)).await.expect("begun");
    let refused = second.append(Bytes::from(vec![b'x'; 2 << 20])).await;
    assert!(matches!(refused, Err(ServiceError::QuotaExceeded { .. })), "{refused:?}");
    drop((upload, second));
    assert!(blobs.ids(None, 10).expect("read").is_empty());
    let unfinished = std::fs::read_dir(folder.path().join("blobs/unfinished")).expect("a folder");
    assert_eq!(unfinished.count(), 0);
    keep(&files, &alice, &[1; 9 << 20], None).await;
}

#[tokio::test]
async fn what_was_deleted_counts_until_it_is_gone_from_the_disk() {
    let (_folder, store, blobs) = stores();
    let (clock, alice) = (clock(), caller());
    let files = files(&store, &blobs, &clock);
    let mut removed = Vec::new();
    // Twice the quota is the most that is ever on the disk, however often files come and go.
    for fill in [1, 2] {
        let file = keep(&files, &alice, &vec![fill; 10 << 20], None).await;
        files.remove(&alice, file.id).await.expect("removed");
        removed.push(file);
    }
    let refused = files.begin(&alice, None).await;
    assert!(matches!(refused, Err(ServiceError::StillLeaving { files: 2, .. })), "{refused:?}");
    files.begin(&caller(), None).await.expect("another's are their own");
    clock.pass_seconds(GRACE.as_secs() + 60);
    let (swept, _) = files.sweep(None).await.expect("swept");
    assert_eq!((swept.blobs, swept.forgotten, swept.skipped), (2, 2, 0));
    for file in removed {
        assert!(blobs.open(&file.blob, "").expect("read").is_none());
    }
    keep(&files, &alice, &[3; 10 << 20], None).await;
}

#[tokio::test]
async fn a_user_has_so_many_files_and_so_many_uploads_at_once() {
    let (_folder, store, blobs) = stores();
    let (clock, alice) = (clock(), caller());
    let files = files(&store, &blobs, &clock);
    let mut uploads = Vec::new();
    for _ in 0..3 {
        uploads.push(files.begin(&alice, None).await.expect("begun"));
    }
    let fourth = files.begin(&alice, None).await;
    assert!(matches!(fourth, Err(ServiceError::TooMany { max: 3, .. })), "{fourth:?}");
    files.begin(&caller(), None).await.expect("another's are their own");
    uploads.pop();
    uploads.push(files.begin(&alice, None).await.expect("one has ended"));
    drop(uploads);
    for n in 0..20 {
        keep(&files, &alice, &[n], None).await;
    }
    let one_more = files.begin(&alice, None).await;
    assert!(matches!(one_more, Err(ServiceError::TooMany { what: "files", max: 20 })), "{one_more:?}");
}

#[tokio::test]
async fn a_sweep_goes_on_past_what_it_cannot_deal_with() {
    let (folder, store, blobs) = stores();
    let clock = clock();
    let files = files(&store, &blobs, &clock);
    let left: Vec<Blob> = (0..3).map(|n| orphan(&blobs, &[n; 1000])).collect();
    // In the place of the one that comes first there is what no blob is, and it cannot be removed as one.
    let first = left.iter().min_by_key(|blob| blob.id).expect("three");
    let name = first.id.to_string();
    let path = folder.path().join("blobs").join(&name[..2]).join(&name[2..]);
    std::fs::remove_file(&path).expect("removed");
    std::fs::create_dir(&path).expect("made");
    clock.pass_seconds(GRACE.as_secs() + 60);
    let (swept, next) = files.sweep(None).await.expect("it ends");
    assert_eq!((swept.blobs, swept.skipped, next), (2, 1, None));
}
