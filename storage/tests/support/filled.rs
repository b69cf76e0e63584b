//! A store with something of everything.

use atelier_domain::blob::{BlobId, BlobStore as _};
use atelier_domain::file::{FileQuota, StoredFile};
use atelier_domain::id::{JobId, KeyId, UserId};
use atelier_domain::job::{Job, JobState, StoredRequest};
use atelier_domain::store::{AccountStore as _, FileStore as _, LedgerStore as _, PluginStore as _};
use atelier_storage::contract::ledger::steps::{end, grant, job_for, submit, used, user, wanted};
use atelier_storage::contract::sample;
use atelier_storage::{Blobs, Store};

pub const PLENTY: FileQuota = FileQuota { bytes: u64::MAX, files: u64::MAX };

pub struct Filled {
    pub store: Store,
    pub blobs: Blobs,
    pub user: UserId,
    pub jobs: Vec<JobId>,
    /// Blobs that rows name, and one that nothing names.
    pub named: Vec<BlobId>,
    pub unnamed: BlobId,
    /// Micro-credits.
    pub granted: u64,
    /// What is spent or held once everything is in the books and allowances have come back.
    pub spent: u64,
    pub folder: tempfile::TempDir,
}

pub fn blob(blobs: &Blobs, content: &[u8]) -> BlobId {
    let mut writer = blobs.create("text/plain").expect("begun");
    writer.append(content).expect("appended");
    writer.finish().expect("finished").id
}

/// A sample's blobs are nowhere.
pub fn without_blobs(job: Job) -> Job {
    let request = StoredRequest { inputs: Vec::new(), ..job.request };
    Job { request, outputs: Vec::new(), ..job }
}

impl Filled {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("store")).expect("opened");
        let blobs = Blobs::open(folder.path().join("blobs")).expect("opened");
        let user = user(&store);
        store.create_key(&sample::key(user)).expect("created");
        store.put_plugin(&sample::plugin("acme/chat")).expect("put");
        store.grant(&grant(user, 10_000)).expect("made");
        let named = vec![blob(&blobs, b"small"), blob(&blobs, &vec![7; 600_000])];
        for id in &named {
            let file = StoredFile { blob: *id, ..sample::file(user) };
            store.create_file(&file, &PLENTY).expect("created");
        }
        let unnamed = blob(&blobs, b"nobody wants it");
        let mut jobs = Vec::new();
        for number in 0..20 {
            let (job, hold) = job_for(user, KeyId::new(), 60, 10);
            let mut job = without_blobs(job);
            if number == 3 {
                job.request.prompt = Some("p".repeat(50_000));
            }
            submit(&store, &job, &hold).expect("submitted");
            if number < 10 {
                end(&store, &job, JobState::Succeeded, 2);
            }
            jobs.push(job.id);
        }
        let taken = wanted(user, KeyId::new(), 1, 100);
        store.take_allowance(&taken).expect("taken");
        store.record(&used(&taken, 7)).expect("recorded");
        let spent = 10 * 20 + 10 * 60 + 7;
        Self { store, blobs, user, jobs, named, unnamed, granted: 10_000, spent, folder }
    }
}
