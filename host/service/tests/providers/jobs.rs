//! The job engine on the real store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::TestClock;
use crate::disk::plenty;
use crate::scripted::{Act, Scripted};
use atelier_domain::account::{Principal, Role, Scope};
use atelier_domain::failure::FailureCode;
use atelier_domain::generation::media::MediaRequest;
use atelier_domain::id::{KeyId, UserId};
use atelier_domain::job::{Job, JobState, StoredOutput};
use atelier_domain::model::Task;
use atelier_domain::plugin::OwnKey;
use atelier_domain::store::{ProviderKeyStore, StoreError};
use atelier_domain::time::{Clock, SystemClock};
use atelier_service::callbacks::{CallbackAddresses, CallbackPorts, Callbacks};
use atelier_service::caller::{Caller, scope_of};
use atelier_service::fetcher::{Fetcher, NoFetcher};
use atelier_service::jobs::{JobLimits, JobPorts, Jobs, QueueLimits};
use atelier_service::ledger::{Ledger, LedgerSettings};
use atelier_service::limits::{Limiter, Rate};
use atelier_service::meter::NoMeter;
use atelier_service::own_keys::OwnKeys;
use atelier_service::registry::Registry;
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::{Blobs, LocalKeys, SealingKey, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Of every engine here.
const LIMITS: QueueLimits =
    QueueLimits { open_max: 4, open_per_user_max: 2, begun_per_user_max: 2, begun_per_instance_max: 2 };
const PATIENCE: Duration = Duration::from_secs(20);

/// An engine at work, over a folder that outlives it.
pub struct Engine {
    pub jobs: Jobs,
    pub callbacks: Callbacks,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Engine {
    pub async fn start(store: &Arc<Store>, blobs: &Arc<Blobs>, provider: &Arc<Scripted>) -> Self {
        Self::with_clock(store, blobs, provider, Arc::new(SystemClock::default())).await
    }

    async fn with_clock(
        store: &Arc<Store>,
        blobs: &Arc<Blobs>,
        provider: &Arc<Scripted>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let pool = StoragePool::new(StoragePoolLimits::default());
        Self::build(store, blobs, provider, clock, LedgerSettings::default(), pool, Arc::new(NoFetcher)).await
    }

    /// With somebody who fetches results.
    pub async fn with_fetcher(
        store: &Arc<Store>,
        blobs: &Arc<Blobs>,
        provider: &Arc<Scripted>,
        fetcher: Arc<dyn Fetcher>,
    ) -> Self {
        let pool = StoragePool::new(StoragePoolLimits::default());
        let clock = Arc::new(SystemClock::default());
        Self::build(store, blobs, provider, clock, LedgerSettings::default(), pool, fetcher).await
    }

    /// With a way to storage that is easily busy.
    pub async fn with_pool(
        store: &Arc<Store>,
        blobs: &Arc<Blobs>,
        provider: &Arc<Scripted>,
        pool: StoragePool,
    ) -> Self {
        let clock = Arc::new(SystemClock::default());
        Self::build(store, blobs, provider, clock, LedgerSettings::default(), pool, Arc::new(NoFetcher)).await
    }

    /// With prices.
    pub async fn with(
        store: &Arc<Store>,
        blobs: &Arc<Blobs>,
        provider: &Arc<Scripted>,
        settings: LedgerSettings,
    ) -> Self {
        let pool = StoragePool::new(StoragePoolLimits::default());
        let clock = Arc::new(SystemClock::default());
        Self::build(store, blobs, provider, clock, settings, pool, Arc::new(NoFetcher)).await
    }

    async fn build(
        store: &Arc<Store>,
        blobs: &Arc<Blobs>,
        provider: &Arc<Scripted>,
        clock: Arc<dyn Clock>,
        settings: LedgerSettings,
        pool: StoragePool,
        fetcher: Arc<dyn Fetcher>,
    ) -> Self {
        let registry = Arc::new(Registry::new(HashMap::new(), clock.clone(), Arc::new(NoMeter)));
        registry.put(&"scripted".parse().expect("a name"), provider.clone()).await;
        let addresses = CallbackAddresses::new([7; 32], Some("https://host.example".to_owned()));
        let ledger = Arc::new(Ledger::new(store.clone(), pool.clone(), clock.clone(), settings));
        let ports = JobPorts {
            store: store.clone(),
            blobs: blobs.clone(),
            pool: pool.clone(),
            registry: registry.clone(),
            own_keys: own_keys(store.clone(), &registry, &clock),
            fetcher,
            clock: clock.clone(),
            meter: Arc::new(NoMeter),
            callbacks: Some(addresses.clone()),
            tracer: None,
            ledger,
            room: plenty(),
        };
        let limits = JobLimits { queue: LIMITS, ..JobLimits::default() };
        let jobs = Jobs::new(ports, limits);
        let callbacks = Callbacks::new(CallbackPorts {
            addresses,
            jobs: jobs.clone(),
            registry,
            limiter: Arc::new(Limiter::new(|_| Rate { requests: 5, window: Duration::from_secs(60) })),
            clock,
            meter: Arc::new(NoMeter),
            store: store.clone(),
            pool: StoragePool::new(StoragePoolLimits::default()),
            senders: HashMap::from([("elsewhere".to_owned(), Vec::new())]),
        });
        jobs.read_open_jobs().await.expect("open jobs are read");
        let (stop, stopped) = watch::channel(false);
        let running = jobs.clone();
        let task = tokio::spawn(async move { running.run(stopped).await });
        Self { jobs, callbacks, stop, task }
    }

    pub async fn stop(self) {
        self.rest().await;
    }

    /// Stops working, and still admits.
    pub async fn rest(self) -> Jobs {
        self.stop.send_replace(true);
        self.task.await.expect("it stops");
        self.jobs
    }
}

pub fn stores() -> (tempfile::TempDir, Arc<Store>, Arc<Blobs>) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path().join("store")).expect("a store");
    store.unseal(&LocalKeys::new(SealingKey::new([7; 32]), Vec::new())).expect("unsealed");
    let blobs = Blobs::open(folder.path().join("blobs")).expect("blobs");
    (folder, Arc::new(store), Arc::new(blobs))
}

/// Where nobody brings a key of their own.
pub struct NoOwnKeys;

impl ProviderKeyStore for NoOwnKeys {
    fn provider_keys(&self, _owner: UserId) -> Result<Vec<OwnKey>, StoreError> {
        Ok(Vec::new())
    }
    fn put_provider_key(&self, _owner: UserId, _key: &OwnKey, _max: usize) -> Result<bool, StoreError> {
        Ok(false)
    }
    fn remove_provider_key(&self, _owner: UserId, _instance: &str) -> Result<bool, StoreError> {
        Ok(false)
    }
}

/// Callers' own keys over a store.
pub fn own_keys(
    store: Arc<dyn ProviderKeyStore>,
    registry: &Arc<Registry>,
    clock: &Arc<dyn Clock>,
) -> Arc<OwnKeys> {
    let pool = StoragePool::new(StoragePoolLimits::default());
    Arc::new(OwnKeys::new(store, pool, registry.clone(), clock.clone(), true))
}

pub fn caller() -> Caller {
    let user = UserId::new();
    let principal = Principal {
        user,
        role: Role::User,
        key: KeyId::new(),
        scopes: vec![Scope::Generate],
        expires: None,
        session: None,
    };
    let scope = scope_of(user);
    Caller {
        principal: Arc::new(principal),
        scope,
        request_id: "test".into(),
        depth: 0,
        own_key: None,
        keyed: None,
        trace: None,
    }
}

pub fn painting() -> MediaRequest {
    MediaRequest {
        prompt: Some("  a cat ".to_owned()),
        ..MediaRequest::new("scripted/painter".to_owned(), Task::ImageGeneration)
    }
}

pub async fn admit(engine: &Engine, caller: &Caller) -> Job {
    engine.jobs.admit(caller, Task::ImageGeneration, painting()).await.expect("admitted")
}

pub async fn end_of(engine: &Engine, caller: &Caller, job: &Job) -> Job {
    let job = engine.jobs.wait(caller, job.id, PATIENCE).await.expect("it is there");
    assert!(job.state.is_final(), "{job:?}");
    job
}

#[tokio::test]
async fn a_job_is_polled_to_its_end_and_keeps_its_results() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::Pending, Act::Pending, Act::Done("a cat")]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let job = end_of(&engine, &alice, &admit(&engine, &alice).await).await;
    assert_eq!((job.state, job.progress), (JobState::Succeeded, Some(1.0)));
    assert_eq!(job.outputs, [StoredOutput::Text("a cat".to_owned())]);
    assert_eq!(job.request.prompt.as_deref(), Some("a cat"), "media prompts are trimmed");
    let other = engine.jobs.get(&caller(), job.id).await;
    assert!(matches!(other, Err(ServiceError::NotFound { .. })), "another's job is none");
    engine.stop().await;
}

#[tokio::test]
async fn a_submission_that_passed_nothing_on_is_tried_again_and_a_refusal_is_not() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([
        Act::Fail(FailureCode::Overloaded),
        Act::Done("x"),
        Act::Fail(FailureCode::ContentRefused),
    ]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let tried = end_of(&engine, &alice, &admit(&engine, &alice).await).await;
    assert_eq!((tried.state, tried.attempt), (JobState::Succeeded, 2));
    let refused = end_of(&engine, &alice, &admit(&engine, &alice).await).await;
    assert_eq!(refused.state, JobState::Failed);
    assert_eq!(refused.error.expect("why").code, "content-refused");
    engine.stop().await;
}

#[tokio::test]
async fn an_interrupted_charging_submission_is_never_sent_twice() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::ChargeAndHang(false)]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let job = admit(&engine, &alice).await;
    provider.charged.notified().await;
    // The first engine hangs in its step, as a killed process would; the second finds what it left.
    engine.stop().await;
    let second = Engine::start(&store, &blobs, &provider).await;
    let job = end_of(&second, &alice, &job).await;
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.error.as_ref().expect("why").code, "outcome_unknown");
    let listed = second.jobs.failed("outcome_unknown".to_owned(), None, 10).await.expect("listed");
    assert_eq!(listed, [job], "its operator finds it");
    assert_eq!(provider.seen.lock().expect("no panic").submissions, 1);
    second.stop().await;
}

#[tokio::test]
async fn a_job_whose_caller_leaves_while_it_is_stored_is_run_all_the_same() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new(std::iter::repeat_n(Act::Done("x"), 100));
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let mut left = 0;
    for patience in 0..30 {
        let admitting = engine.jobs.admit(&alice, Task::ImageGeneration, painting());
        left += u32::from(tokio::time::timeout(Duration::from_millis(patience), admitting).await.is_err());
        // Whatever was begun has a moment to be stored.
        tokio::time::sleep(Duration::from_millis(20)).await;
        for job in engine.jobs.list(&alice, None, 100).await.expect("listed") {
            assert_eq!(end_of(&engine, &alice, &job).await.state, JobState::Succeeded);
        }
    }
    assert!(left > 0, "somebody left");
    engine.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_with_open_jobs() {
    let (_folder, store, blobs) = stores();
    let waiting = Scripted::new(std::iter::repeat_n(Act::Pending, 1000));
    let (engine, alice) = (Engine::start(&store, &blobs, &waiting).await, caller());
    let job = admit(&engine, &alice).await;
    let still = engine.jobs.wait(&alice, job.id, Duration::from_millis(300)).await.expect("it is there");
    assert!(!still.state.is_final());
    engine.stop().await;
    let provider = Scripted::new([Act::Done("late")]);
    let second = Engine::start(&store, &blobs, &provider).await;
    let job = end_of(&second, &alice, &job).await;
    assert_eq!(job.state, JobState::Succeeded);
    let counts = {
        let seen = provider.seen.lock().expect("no panic");
        (seen.submissions, seen.resumed_after_restart)
    };
    assert_eq!(counts, (0, 1));
    second.stop().await;
}

#[tokio::test]
async fn a_canceled_job_is_canceled_at_its_provider_and_frees_its_place() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new(std::iter::repeat_n(Act::Pending, 1000));
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let first = admit(&engine, &alice).await;
    admit(&engine, &alice).await;
    let third = engine.jobs.admit(&alice, Task::ImageGeneration, painting()).await;
    assert!(matches!(third, Err(ServiceError::TooManyJobs { max: 2 })), "{third:?}");
    // Once it is at the provider, the provider is told.
    while engine.jobs.get(&alice, first.id).await.expect("there").ticket.is_none() {
        tokio::task::yield_now().await;
    }
    engine.jobs.cancel(&alice, first.id).await.expect("asked");
    assert_eq!(end_of(&engine, &alice, &first).await.state, JobState::Canceled);
    assert_eq!(provider.seen.lock().expect("no panic").cancellations, 1);
    admit(&engine, &alice).await;
    engine.stop().await;
}

#[tokio::test]
async fn an_interrupted_submission_that_its_provider_knows_by_a_key_is_sent_again_under_the_same_key() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::ChargeAndHang(true), Act::ChargeAndHang(true), Act::Done("a cat")]);
    let alice = caller();
    let engine = Engine::start(&store, &blobs, &provider).await;
    let job = admit(&engine, &alice).await;
    provider.charged.notified().await;
    engine.stop().await;
    let second = Engine::start(&store, &blobs, &provider).await;
    provider.charged.notified().await;
    second.stop().await;
    let third = Engine::start(&store, &blobs, &provider).await;
    assert_eq!(end_of(&third, &alice, &job).await.state, JobState::Succeeded);
    assert_eq!(provider.seen.lock().expect("no panic").submitted_as, vec![job.id.simple(); 3]);
    third.stop().await;
}

#[tokio::test]
async fn a_submission_that_was_not_taken_or_never_left_is_tried_again_and_one_that_may_have_cost_is_not() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([
        Act::ChargeAndFail(FailureCode::RateLimited, 429),
        Act::FindNobody,
        Act::Done("a cat"),
        Act::ChargeAndFail(FailureCode::Unavailable, 500),
    ]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let tried = end_of(&engine, &alice, &admit(&engine, &alice).await).await;
    assert_eq!((tried.state, tried.attempt), (JobState::Succeeded, 3));
    let failed = end_of(&engine, &alice, &admit(&engine, &alice).await).await;
    assert_eq!((failed.state, failed.attempt), (JobState::Failed, 1));
    assert_eq!(failed.error.expect("why").code, "unavailable");
    engine.stop().await;
}

#[tokio::test]
async fn a_job_whose_answer_was_lost_after_a_charging_request_left_is_of_unknown_outcome() {
    let (_folder, store, blobs) = stores();
    let provider =
        Scripted::new([Act::ChargeAndLose(false), Act::Pending, Act::ChargeAndLose(false), Act::FindNobody]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    for submissions in [1, 2] {
        let lost = end_of(&engine, &alice, &admit(&engine, &alice).await).await;
        assert_eq!((lost.state, lost.attempt), (JobState::Failed, 1));
        let error = lost.error.expect("why");
        assert_eq!(error.code, "outcome_unknown", "{}", error.message);
        assert_eq!(provider.seen.lock().expect("no panic").submissions, submissions, "it is not sent twice");
    }
    let listed = engine.jobs.failed("outcome_unknown".to_owned(), None, 10).await.expect("read");
    assert_eq!(listed.len(), 2, "the operator sees them");
    engine.stop().await;
}

#[tokio::test]
async fn a_submission_that_its_provider_knows_by_a_key_is_sent_again_until_it_has_an_answer() {
    let (_folder, store, blobs) = stores();
    let lost = || Act::ChargeAndLose(true);
    let provider = Scripted::new([lost(), lost(), lost(), lost(), Act::Done("a cat")]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let job = end_of(&engine, &alice, &admit(&engine, &alice).await).await;
    assert_eq!((job.state, job.attempt), (JobState::Succeeded, 5), "{:?}", job.error);
    assert_eq!(provider.seen.lock().expect("no panic").submitted_as, vec![job.id.simple(); 5]);
    engine.stop().await;
}

#[tokio::test]
async fn a_full_queue_refuses_whoever_comes_until_a_job_has_ended() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new(std::iter::repeat_n(Act::Waiting("p"), 10));
    let engine = Engine::start(&store, &blobs, &provider).await;
    let (alice, bob, carol) = (caller(), caller(), caller());
    let first = admit(&engine, &alice).await;
    for caller in [&alice, &bob, &bob] {
        admit(&engine, caller).await;
    }
    let refused = engine.jobs.admit(&carol, Task::ImageGeneration, painting()).await;
    assert!(matches!(refused, Err(ServiceError::QueueFull { max: 4 })), "{refused:?}");
    engine.stop().await;
    let second = Engine::start(&store, &blobs, &provider).await;
    let refused = second.jobs.admit(&carol, Task::ImageGeneration, painting()).await;
    assert!(
        matches!(refused, Err(ServiceError::QueueFull { max: 4 })),
        "the next process knows: {refused:?}"
    );
    second.jobs.cancel(&alice, first.id).await.expect("asked");
    end_of(&second, &alice, &first).await;
    admit(&second, &carol).await;
    second.stop().await;
}

#[tokio::test]
async fn a_job_waits_while_its_instance_is_full_and_begins_when_another_has_ended() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::Waiting("p-1"), Act::Waiting("p-2"), Act::Done("a cat")]);
    let engine = Engine::start(&store, &blobs, &provider).await;
    let (alice, bob) = (caller(), caller());
    let first = admit(&engine, &alice).await;
    let second = admit(&engine, &alice).await;
    for job in [&first, &second] {
        while engine.jobs.get(&alice, job.id).await.expect("there").ticket.is_none() {
            tokio::task::yield_now().await;
        }
    }
    let waiting = admit(&engine, &bob).await;
    let still = engine.jobs.wait(&bob, waiting.id, Duration::from_millis(100)).await.expect("there");
    assert_eq!((still.state, still.attempt), (JobState::Queued, 0));
    engine.jobs.cancel(&alice, first.id).await.expect("asked");
    assert_eq!(end_of(&engine, &bob, &waiting).await.state, JobState::Succeeded);
    assert_eq!(engine.jobs.get(&alice, second.id).await.expect("there").state, JobState::Processing);
    engine.stop().await;
}

#[tokio::test]
async fn a_job_past_its_deadline_is_canceled_at_its_provider_and_fails() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new(std::iter::repeat_n(Act::Waiting("p"), 10));
    let clock = Arc::new(TestClock(1_000_000.into()));
    let engine = Engine::with_clock(&store, &blobs, &provider, clock.clone()).await;
    let alice = caller();
    let job = admit(&engine, &alice).await;
    assert_eq!(job.deadline.0 - job.created.0, 120_000);
    while engine.jobs.get(&alice, job.id).await.expect("there").ticket.is_none() {
        tokio::task::yield_now().await;
    }
    engine.stop().await;
    clock.pass_seconds(119);
    let second = Engine::with_clock(&store, &blobs, &provider, clock.clone()).await;
    let still = second.jobs.wait(&alice, job.id, Duration::from_millis(50)).await.expect("there");
    assert_eq!(still.state, JobState::Processing);
    second.stop().await;
    clock.pass_seconds(1);
    let third = Engine::with_clock(&store, &blobs, &provider, clock).await;
    let job = end_of(&third, &alice, &job).await;
    assert_eq!((job.state, job.error.expect("why").code.as_str()), (JobState::Failed, "deadline_exceeded"));
    assert_eq!(provider.seen.lock().expect("no panic").cancellations, 1);
    third.stop().await;
}
