//! What becomes of jobs while storage does not take what is to be recorded of them.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use atelier_domain::blob::Blob;
use atelier_domain::generation::media::{MediaOutput, Output, OutputSource};
use atelier_domain::id::ResponseId;
use atelier_domain::job::{JobState, StoredOutput};
use atelier_domain::time::SystemClock;
use atelier_service::responses::{NewResponse, ResponseLimits, ResponsePorts, Responses};
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use tokio::sync::oneshot;

use crate::jobs::{Engine, admit, caller, end_of, stores};
use crate::scripted::{Act, Scripted};

/// A way to storage with one place, for which nobody waits for long.
fn narrow() -> StoragePool {
    let wait_max = Duration::from_millis(50);
    StoragePool::new(StoragePoolLimits { running_max: 1, waiting_max: 64, wait_max })
}

/// Takes the only place until it is told to let go.
async fn occupy(pool: &StoragePool) -> mpsc::SyncSender<()> {
    let (release, held) = mpsc::sync_channel::<()>(1);
    let (tell, is_held) = oneshot::channel();
    let pool = pool.clone();
    tokio::spawn(async move {
        let hold = move || {
            tell.send(()).expect("the test waits for it");
            held.recv().expect("the test lets go");
            Ok::<_, ServiceError>(())
        };
        pool.run(hold).await
    });
    is_held.await.expect("it is held");
    release
}

/// Waits until storage has refused something since.
async fn refused_since(pool: &StoragePool, before: u64) {
    while pool.refused() == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_paid_result_is_recorded_although_storage_is_busy_when_it_comes() {
    let file = MediaOutput {
        source: OutputSource::Blob(Blob::in_memory("text/plain", "a cat".into())),
        content_type: None,
        revised_prompt: None,
        seed: None,
        attributes: Vec::new(),
    };
    for made in [Output::Text("a cat".to_owned()), Output::Media(file)] {
        let (_folder, store, blobs) = stores();
        let provider = Scripted::new([Act::ChargeAndMake(made)]);
        let pool = narrow();
        let (engine, alice) = (Engine::with_pool(&store, &blobs, &provider, pool.clone()).await, caller());
        let job = admit(&engine, &alice).await;
        provider.charged.notified().await;
        let release = occupy(&pool).await;
        let before = pool.refused();
        provider.released.notify_one();
        refused_since(&pool, before).await;
        release.send(()).expect("it is held");
        let job = end_of(&engine, &alice, &job).await;
        assert_eq!((job.state, job.error), (JobState::Succeeded, None));
        assert_eq!(job.outputs.len(), 1);
        assert_eq!(provider.seen.lock().expect("no panic").submissions, 1);
        engine.stop().await;
    }
}

#[tokio::test]
async fn a_request_that_could_not_be_noted_does_not_leave_and_its_job_is_tried_again() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::ChargeLater("not sent"), Act::Done("sent")]);
    let pool = narrow();
    let (engine, alice) = (Engine::with_pool(&store, &blobs, &provider, pool.clone()).await, caller());
    let job = admit(&engine, &alice).await;
    provider.submitted.notified().await;
    let release = occupy(&pool).await;
    let before = pool.refused();
    provider.released.notify_one();
    refused_since(&pool, before).await;
    release.send(()).expect("it is held");
    let job = end_of(&engine, &alice, &job).await;
    assert_eq!((job.state, job.error), (JobState::Succeeded, None));
    assert_eq!(job.outputs, [StoredOutput::Text("sent".to_owned())]);
    engine.stop().await;
}

#[tokio::test]
async fn a_kept_answer_comes_to_the_disk_although_storage_is_busy_when_it_is_given() {
    let (_folder, store, _) = stores();
    let (pool, alice) = (narrow(), caller());
    let ports =
        ResponsePorts { store: store.clone(), pool: pool.clone(), clock: Arc::new(SystemClock::default()) };
    let limits = ResponseLimits {
        is_kept: true,
        kept_for: Duration::from_secs(60),
        quota_bytes: 1 << 20,
        chain_max: 4,
        chain_bytes_max: 1 << 20,
        pending_max: 4,
    };
    let responses = Responses::new(ports, limits);
    let release = occupy(&pool).await;
    let (id, before) = (ResponseId::new(), pool.refused());
    responses.keep(NewResponse {
        id,
        owner: alice.user(),
        previous: None,
        input: Vec::new(),
        output: Vec::new(),
        answer: "{}".to_owned(),
    });
    refused_since(&pool, before).await;
    assert_eq!(responses.get(&alice, id).await.expect("it is there meanwhile").answer, "{}");
    release.send(()).expect("it is held");
    while responses.pending() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(responses.get(&alice, id).await.expect("on disk").answer, "{}");
}
