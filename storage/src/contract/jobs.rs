//! The contract of [`JobStore`].

use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::{Erasure, Job, JobError, JobPage, JobState};
use atelier_domain::store::{FileStore, JobStore, StoreError};
use atelier_domain::time::Timestamp;

use super::sample;

fn create(store: &dyn JobStore, owner: UserId, count: usize) -> Vec<Job> {
    (0..count)
        .map(|_| {
            let job = sample::job(owner);
            store.create_job(&(&job).into()).expect("created");
            job
        })
        .collect()
}

pub fn a_job_is_read_as_it_was_created(store: &dyn JobStore) {
    let job = create(store, UserId::new(), 1).remove(0);
    assert_eq!(store.job(job.id).expect("read"), Some(job.clone()));
    assert_eq!(store.job_of(job.owner, job.id).expect("read"), Some(job));
    assert_eq!(store.job(JobId::new()).expect("read"), None);
}

pub fn a_second_job_of_the_same_id_is_refused(store: &dyn JobStore) {
    let job = create(store, UserId::new(), 1).remove(0);
    let mut other = sample::job(UserId::new());
    other.id = job.id;
    assert!(matches!(store.create_job(&(&other).into()), Err(StoreError::Exists { .. })));
    assert!(store.jobs_of(other.owner, None, 10).expect("read").is_empty(), "nothing of it stays");
    assert_eq!(store.job(job.id).expect("read"), Some(job));
}

pub fn another_owners_job_is_none(store: &dyn JobStore) {
    let (alice, bob) = (UserId::new(), UserId::new());
    let job = create(store, alice, 1).remove(0);
    assert_eq!(store.job_of(bob, job.id).expect("read"), None);
    assert!(store.jobs_of(bob, None, 10).expect("read").is_empty());
    assert!(store.jobs_of(bob, Some(job.id), 10).expect("read").is_empty());
    assert_eq!(store.open_job_count(bob).expect("counted"), 0);
    assert_eq!(store.open_job_count(alice).expect("counted"), 1);
}

pub fn jobs_are_listed_newest_first_in_pages(store: &dyn JobStore) {
    // Owners with the lowest and the highest id lie on both sides.
    let owner = UserId::from_bytes([0xff; 16]);
    create(store, UserId::from_bytes([0; 16]), 3);
    let mut made = create(store, owner, 25);
    made.reverse();
    let mut listed: Vec<Job> = Vec::new();
    loop {
        let page = store.jobs_of(owner, listed.last().map(|job| job.id), 10).expect("read");
        assert!(page.len() <= 10);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, made);
}

pub fn a_listing_is_stable_while_jobs_are_added(store: &dyn JobStore) {
    let owner = UserId::new();
    let mut made = create(store, owner, 40);
    made.reverse();
    let last = made[0].id;
    let expected: Vec<JobId> = made[1..].iter().map(|job| job.id).collect();
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| create(store, owner, 100));
        while !adding.is_finished() {
            let page = store.jobs_of(owner, Some(last), 100).expect("read");
            assert_eq!(page.iter().map(|job| job.id).collect::<Vec<_>>(), expected);
        }
    });
    assert_eq!(store.jobs_of(owner, None, usize::MAX).expect("read").len(), 140);
}

pub fn a_change_is_given_back_and_kept(store: &dyn JobStore) {
    let job = create(store, UserId::new(), 1).remove(0);
    let changed = store
        .change_job(job.id, &|job| {
            job.progress = Some(0.75);
            true
        })
        .expect("changed")
        .expect("there");
    assert_eq!(changed, Job { progress: Some(0.75), ..job.clone() });
    assert_eq!(store.job(job.id).expect("read"), Some(changed));
    assert_eq!(store.change_job(JobId::new(), &|_| true).expect("answered"), None);
}

pub fn a_change_that_declines_writes_nothing(store: &dyn JobStore) {
    let job = create(store, UserId::new(), 1).remove(0);
    let given = store.change_job(job.id, &|job| {
        job.attempt = 99;
        false
    });
    assert_eq!(given.expect("read"), Some(job.clone()), "as it is, not as it was tried");
    assert_eq!(store.job(job.id).expect("read"), Some(job));
}

pub fn a_job_cannot_change_its_owner(store: &dyn JobStore) {
    let job = create(store, UserId::new(), 1).remove(0);
    let thief = UserId::new();
    let outcome = store.change_job(job.id, &|job| {
        job.owner = thief;
        true
    });
    assert!(matches!(outcome, Err(StoreError::Conflict { .. })));
    assert_eq!(store.job_of(thief, job.id).expect("read"), None);
    assert_eq!(store.job_of(job.owner, job.id).expect("read"), Some(job));
}

pub fn concurrent_changes_lose_no_update(store: &dyn JobStore) {
    const THREADS: u32 = 8;
    const CHANGES: u32 = 50;
    let job = create(store, UserId::new(), 1).remove(0);
    let start = job.attempt;
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..CHANGES {
                    let change = |job: &mut Job| {
                        job.attempt += 1;
                        job.wake_at = job.wake_at.plus(std::time::Duration::from_millis(1));
                        true
                    };
                    store.change_job(job.id, &change).expect("changed").expect("there");
                }
            });
        }
    });
    let after = store.job(job.id).expect("read").expect("there");
    assert_eq!(after.attempt, start + THREADS * CHANGES);
    assert_eq!(store.open_jobs(10).expect("read"), [(after.wake_at, job.id)], "one entry, the newest");
    assert_eq!(store.open_job_count(job.owner).expect("counted"), 1);
}

pub fn open_jobs_come_in_the_order_of_their_wake_times(store: &dyn JobStore) {
    let owner = UserId::new();
    let mut expected = Vec::new();
    for at in [300, 1, u64::MAX, 256, 255, 70_000, 0] {
        let job = Job { wake_at: Timestamp(at), ..sample::job(owner) };
        store.create_job(&(&job).into()).expect("created");
        expected.push((job.wake_at, job.id));
    }
    expected.sort();
    assert_eq!(store.open_jobs(usize::MAX).expect("read"), expected);
    assert_eq!(store.open_jobs(3).expect("read"), expected[..3]);
    let (_, first) = expected[0];
    store
        .change_job(first, &|job| {
            job.wake_at = Timestamp(1_000);
            true
        })
        .expect("changed");
    assert_eq!(store.open_jobs(1).expect("read"), expected[1..2], "moved back");
    assert_eq!(store.open_jobs(usize::MAX).expect("read").len(), expected.len());
}

pub fn a_final_job_is_open_no_more(store: &dyn JobStore) {
    let owner = UserId::new();
    let jobs = create(store, owner, 5);
    create(store, UserId::new(), 2);
    assert_eq!(store.open_job_count(owner).expect("counted"), 5);
    for (job, state) in jobs.iter().zip([JobState::Succeeded, JobState::Failed, JobState::Canceled]) {
        store
            .change_job(job.id, &|job| {
                job.state = state;
                true
            })
            .expect("changed");
    }
    assert_eq!(store.open_job_count(owner).expect("counted"), 2);
    assert_eq!(store.open_jobs(usize::MAX).expect("read").len(), 4);
    assert_eq!(store.jobs_of(owner, None, 10).expect("read").len(), 5, "final jobs stay listed");
    let done = Job { state: JobState::Succeeded, ..sample::job(owner) };
    store.create_job(&(&done).into()).expect("created");
    let opened = store.change_job(done.id, &|job| {
        job.state = JobState::Queued;
        true
    });
    assert!(matches!(opened, Err(StoreError::Conflict { .. })), "what has ended stays so: {opened:?}");
    assert_eq!(store.job(done.id).expect("read").map(|job| job.state), Some(JobState::Succeeded));
    assert_eq!(store.open_job_count(owner).expect("counted"), 2);
}

pub fn a_large_job_is_kept_whole(store: &dyn JobStore) {
    let owner = UserId::new();
    let mut job = sample::job(owner);
    job.request.prompt = Some("漢".repeat(700_000));
    store.create_job(&(&job).into()).expect("created");
    assert_eq!(store.job(job.id).expect("read"), Some(job.clone()));
    for prompt in ["x".repeat(5_000), "short".to_owned(), "y".repeat(100_000)] {
        job.request.prompt = Some(prompt.clone());
        let change = |job: &mut Job| {
            job.request.prompt = Some(prompt.clone());
            true
        };
        store.change_job(job.id, &change).expect("changed");
        assert_eq!(store.jobs_of(owner, None, 10).expect("read"), std::slice::from_ref(&job));
    }
}

pub fn failed_jobs_are_listed_by_their_code_newest_first(store: &dyn JobStore) {
    let fail = |job: &Job, code: &str| {
        let error = Some(JobError { code: code.to_owned(), message: "as the test says".to_owned() });
        let change = |job: &mut Job| {
            (job.state, job.error) = (JobState::Failed, error.clone());
            true
        };
        store.change_job(job.id, &change).expect("changed");
    };
    let mut jobs = create(store, UserId::new(), 3);
    jobs.extend(create(store, UserId::from_bytes([0xff; 16]), 3));
    store.change_job(jobs[0].id, &|job| std::mem::take(&mut job.error).is_some()).expect("changed");
    for (job, code) in jobs.iter().zip(["lost", "lost", "losto", "other", "lost", "lost"]) {
        fail(job, code);
    }
    let ids = |before, limit| {
        let found = store.failed_jobs("lost", before, limit).expect("read");
        found.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let expected = [jobs[5].id, jobs[4].id, jobs[1].id, jobs[0].id];
    assert_eq!(ids(None, 10), expected, "of all owners");
    assert_eq!(ids(None, 2), expected[..2]);
    assert_eq!(ids(Some(expected[1]), 10), expected[2..]);
    fail(&jobs[5], "other");
    assert_eq!(ids(None, 10), expected[1..], "a code that changed is listed under the new one");
}

pub fn trainings_are_listed_apart_from_other_jobs(store: &dyn JobStore) {
    let owner = UserId::new();
    let mut trainings = Vec::new();
    for _ in 0..5 {
        create(store, owner, 3);
        let training = sample::training(owner);
        store.create_job(&(&training).into()).expect("created");
        trainings.push(training);
    }
    store.create_job(&(&sample::training(UserId::new())).into()).expect("another's");
    trainings.reverse();
    let first = store.trainings_of(owner, None, 3).expect("read");
    assert_eq!(first, trainings[..3]);
    assert_eq!(store.trainings_of(owner, Some(first[2].id), 3).expect("read"), trainings[3..]);
    assert_eq!(store.jobs_of(owner, None, 100).expect("read").len(), 20);
}

pub fn videos_are_listed_either_way_in_pages(store: &dyn JobStore) {
    let owner = UserId::new();
    let mut videos = Vec::new();
    for task in ["video-generation", "video-remix", "video-generation", "video-remix", "video-generation"] {
        create(store, owner, 2);
        let mut video = sample::job(owner);
        video.request.task = task.to_owned();
        store.create_job(&(&video).into()).expect("created");
        videos.push(video);
    }
    let mut others = sample::job(UserId::new());
    others.request.task = "video-generation".to_owned();
    store.create_job(&(&others).into()).expect("another's");
    let list = |after, limit, newest_first| {
        store.videos_of(owner, &JobPage { after, limit, newest_first }).expect("read")
    };
    assert_eq!(list(None, 3, false), videos[..3]);
    assert_eq!(list(Some(videos[2].id), 3, false), videos[3..]);
    videos.reverse();
    assert_eq!(list(None, 3, true), videos[..3]);
    assert_eq!(list(Some(videos[2].id), 3, true), videos[3..]);
    assert!(list(Some(videos[4].id), 3, true).is_empty());
}

pub fn a_job_is_deleted_by_its_owner_once_it_is_final<S: JobStore + FileStore>(store: &S) {
    let owner = UserId::new();
    let mut video = sample::job(owner);
    video.request.task = "video-generation".to_owned();
    store.create_job(&(&video).into()).expect("created");
    let blobs = video.blobs();
    assert_eq!(store.erase_job(owner, video.id).expect("asked"), Erasure::Open);
    let done = store.change_job(video.id, &|job| {
        job.state = JobState::Failed;
        true
    });
    let done = done.expect("changed").expect("there");
    assert_eq!(store.erase_job(UserId::new(), video.id).expect("asked"), Erasure::Absent, "another's");
    assert_eq!(store.job_of(owner, video.id).expect("read"), Some(done.clone()));
    assert_eq!(store.erase_job(owner, video.id).expect("asked"), Erasure::Erased);
    assert_eq!(store.erase_job(owner, video.id).expect("asked"), Erasure::Absent, "once");
    assert_eq!(store.job_of(owner, video.id).expect("read"), None);
    let page = JobPage { after: None, limit: 10, newest_first: true };
    assert!(store.videos_of(owner, &page).expect("read").is_empty());
    assert!(store.jobs_of(owner, None, 10).expect("read").is_empty());
    for blob in blobs {
        assert!(!store.is_blob_named(&blob).expect("asked"), "nothing needs {blob}");
    }
    let left = store.job(video.id).expect("read").expect("the books need it");
    assert_eq!((left.bill, left.error), (done.bill, done.error));
    assert_eq!((left.request.prompt, left.outputs.len(), left.request.inputs.len()), (None, 0, 0));
    assert_eq!(store.failed_jobs("timeout", None, 10).expect("read").len(), 1, "the operator's list stays");
}
