//! Trainings in the job engine.

use std::sync::Arc;

use atelier_domain::blob::{BlobId, BlobStore as _};
use atelier_domain::failure::FailureCode;
use atelier_domain::file::{Purpose, StoredFile};
use atelier_domain::generation::media::JobKind;
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::generation::{Json, MediaSource};
use atelier_domain::id::FileId;
use atelier_domain::job::{Job, JobState, StoredOutput};
use atelier_domain::model::Task;
use atelier_domain::store::LedgerStore as _;
use atelier_domain::time::Timestamp;
use atelier_service::ServiceError;
use atelier_service::caller::Caller;
use atelier_service::jobs::NewTraining;
use atelier_storage::Blobs;
use serde_json::value::RawValue;

use crate::jobs::{Engine, caller, end_of, stores};
use crate::money::{amount, rich, settings_of};
use crate::scripted::{Act, Scripted};

fn json(text: &str) -> Json {
    RawValue::from_string(text.to_owned()).expect("JSON")
}

fn file(owner: &Caller, blobs: &Arc<Blobs>, content: &[u8]) -> StoredFile {
    let mut writer = blobs.create("").expect("begun");
    writer.append(content).expect("appended");
    let blob = writer.finish().expect("finished");
    StoredFile {
        id: FileId::new(),
        owner: owner.user(),
        blob: blob.id,
        size: blob.size,
        content_type: "application/jsonl".to_owned(),
        name: "data.jsonl".to_owned(),
        purpose: Purpose::FineTune,
        created: Timestamp(0),
        expires: None,
    }
}

fn training(file: &StoredFile) -> NewTraining {
    NewTraining {
        model: "scripted/trainer".to_owned(),
        training_file: file.clone(),
        validation_file: None,
        suffix: Some("acme".to_owned()),
        seed: Some(7),
        hyperparameters: json("{\"n_epochs\":3}"),
        options: json("{\"destination\":\"me/mine\"}"),
        metadata: vec![("team".to_owned(), "a".to_owned())],
    }
}

async fn begin(engine: &Engine, who: &Caller, new: NewTraining) -> Job {
    engine.jobs.admit_training(who, new).await.expect("admitted")
}

#[tokio::test]
async fn a_training_is_handed_its_files_and_makes_a_model() {
    let (_folder, store, blobs) = stores();
    let script = [Act::Pending, Act::Model("mine")].into_iter();
    let provider = Scripted::new(script.chain(std::iter::repeat_n(Act::Pending, 1000)));
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let (data, more) = (file(&alice, &blobs, b"{}\n{}\n"), file(&alice, &blobs, b"{}\n"));
    let new = NewTraining { validation_file: Some(more.clone()), ..training(&data) };
    let job = begin(&engine, &alice, new).await;
    assert_eq!(job.deadline.0 - job.created.0, 24 * 3_600 * 1_000, "a day");
    let job = end_of(&engine, &alice, &job).await;
    assert_eq!(
        (job.state, job.outputs.as_slice()),
        (JobState::Succeeded, &[StoredOutput::Model("mine".to_owned())][..])
    );
    {
        let seen = provider.seen.lock().expect("no panic");
        let asked = &seen.trainings[0];
        assert_eq!(
            (asked.model.as_str(), asked.suffix.as_deref(), asked.seed),
            ("trainer", Some("acme"), Some(7))
        );
        assert_eq!(asked.hyperparameters.get(), "{\"n_epochs\":3}");
        assert_eq!(asked.options.get(), "{\"destination\":\"me/mine\"}");
        let sets = asked.datasets.iter().map(|set| match &set.media.source {
            MediaSource::Blob(blob) => (set.role.as_str(), blob.id),
            MediaSource::Url(url) => panic!("{url}"),
        });
        assert_eq!(sets.collect::<Vec<_>>(), [("training", data.blob), ("validation", more.blob)]);
        assert_eq!(seen.kinds, [JobKind::Training]);
    }
    // Other jobs are not among the trainings, and another's are none.
    crate::jobs::admit(&engine, &alice).await;
    let listed = engine.jobs.trainings(&alice, None, 10).await.expect("listed");
    assert_eq!(listed, [job]);
    assert!(engine.jobs.trainings(&caller(), None, 10).await.expect("listed").is_empty());
    engine.stop().await;
}

#[tokio::test]
async fn a_training_is_canceled_as_one_and_only_trainers_train() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new(std::iter::repeat_n(Act::Pending, 1000));
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let data = file(&alice, &blobs, b"{}\n");
    let job = begin(&engine, &alice, training(&data)).await;
    while engine.jobs.get(&alice, job.id).await.expect("there").ticket.is_none() {
        tokio::task::yield_now().await;
    }
    engine.jobs.cancel(&alice, job.id).await.expect("asked");
    assert_eq!(end_of(&engine, &alice, &job).await.state, JobState::Canceled);
    assert!(provider.seen.lock().expect("no panic").kinds.iter().all(|kind| *kind == JobKind::Training));
    let painter = NewTraining { model: "scripted/painter".to_owned(), ..training(&data) };
    let refused = engine.jobs.admit_training(&alice, painter).await;
    assert!(matches!(refused, Err(ServiceError::ModelCannot { task: Task::Training, .. })), "{refused:?}");
    engine.stop().await;
}

#[tokio::test]
async fn content_that_is_gone_is_no_wrong_answer() {
    let (folder, store, blobs) = stores();
    let provider = Scripted::new([]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let data = file(&alice, &blobs, b"{}\n");
    let missing = StoredFile { blob: BlobId([7; 32]), ..data.clone() };
    let refused = engine.jobs.admit_training(&alice, training(&missing)).await;
    assert!(matches!(refused, Err(ServiceError::ContentMissing { .. })), "{refused:?}");
    // Gone between admission and submission: an engine at rest admits, the next one submits.
    let job = engine.rest().await.admit_training(&alice, training(&data)).await.expect("admitted");
    let name = data.blob.to_string();
    std::fs::remove_file(folder.path().join("blobs").join(&name[..2]).join(&name[2..])).expect("removed");
    let second = Engine::start(&store, &blobs, &provider).await;
    let job = end_of(&second, &alice, &job).await;
    assert_eq!((job.state, job.error.expect("why").code.as_str()), (JobState::Failed, "content_missing"));
    assert_eq!(provider.seen.lock().expect("no panic").submissions, 0);
    second.stop().await;
}

#[tokio::test]
async fn a_training_whose_usage_nobody_tells_costs_the_operators_price_for_one_and_a_failed_one_nothing() {
    let (_folder, store, blobs) = stores();
    let told = Act::DoneUsing(vec![UsageLine::new("training-tokens", 4)]);
    let provider = Scripted::new([Act::Model("mine"), told, Act::Fail(FailureCode::InvalidRequest)]);
    let settings = settings_of("scripted/trainer", "training-tokens", 10, 60);
    let engine = Engine::with(&store, &blobs, &provider, settings).await;
    let alice = rich(&store, 1_000).await;
    let data = file(&alice, &blobs, b"{}\n");
    for (charged, is_estimated) in [(60, true), (40, false), (0, false)] {
        let job = end_of(&engine, &alice, &begin(&engine, &alice, training(&data)).await).await;
        let cost = job.bill.cost.expect("it has ended");
        assert_eq!(
            (cost.charged, cost.is_unpriced, job.bill.is_estimated),
            (amount(charged), false, is_estimated)
        );
    }
    assert_eq!(store.balance(alice.user()).expect("read").available, amount(900));
    assert!(store.audit().expect("read").is_clean());
    engine.stop().await;
}
