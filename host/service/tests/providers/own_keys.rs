//! Callers' own keys, on the real store, where credits are needed and nothing has a price.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::generation::chat::{ChatRequest, ChatRole, Message, Part};
use atelier_domain::job::JobState;
use atelier_domain::model::Task;
use atelier_domain::plugin::SecretValue;
use atelier_domain::store::LedgerStore as _;
use atelier_domain::time::{Clock, SystemClock};
use atelier_service::caller::Caller;
use atelier_service::fetcher::NoFetcher;
use atelier_service::generation::answer::ChatAnswer;
use atelier_service::generation::{CallBudget, Generations};
use atelier_service::jobs::{JobLimits, JobPorts, Jobs};
use atelier_service::ledger::{Accounting, Ledger, LedgerSettings};
use atelier_service::meter::NoMeter;
use atelier_service::own_keys::{Checked, OwnKeys};
use atelier_service::registry::Registry;
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::{Blobs, Store};
use tokio::sync::watch;

use crate::disk::plenty;
use crate::jobs::{caller, painting, stores};
use crate::live_money::{answer, last};
use crate::scripted::{Act, Scripted};

struct Desk {
    store: Arc<Store>,
    registry: Arc<Registry>,
    own_keys: Arc<OwnKeys>,
    generations: Generations,
    jobs: Jobs,
    /// The instance as the operator pays for it, and as a caller does.
    operators: Arc<Scripted>,
    own: Arc<Scripted>,
}

async fn desk(is_offered: bool) -> (Desk, tempfile::TempDir) {
    let (folder, store, blobs): (_, _, Arc<Blobs>) = stores();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let pool = StoragePool::new(StoragePoolLimits::default());
    let registry = Arc::new(Registry::new(HashMap::new(), clock.clone(), Arc::new(NoMeter)));
    let (operators, own) = (Scripted::new([]), Scripted::new([]));
    *operators.own.lock().expect("no panic") = Some(own.clone());
    registry.put(&"scripted".parse().expect("a name"), operators.clone()).await;
    let own_keys =
        Arc::new(OwnKeys::new(store.clone(), pool.clone(), registry.clone(), clock.clone(), is_offered));
    let settings = LedgerSettings { accounting: Accounting::Enforce, ..LedgerSettings::default() };
    let ledger = Arc::new(Ledger::new(store.clone(), pool.clone(), clock.clone(), settings));
    let generations =
        Generations::new(registry.clone(), own_keys.clone(), ledger.clone(), CallBudget::default());
    let ports = JobPorts {
        store: store.clone(),
        blobs,
        pool,
        registry: registry.clone(),
        own_keys: own_keys.clone(),
        fetcher: Arc::new(NoFetcher),
        clock,
        meter: Arc::new(NoMeter),
        callbacks: None,
        ledger,
        room: plenty(),
        tracer: None,
    };
    let jobs = Jobs::new(ports, JobLimits::default());
    (Desk { store, registry, own_keys, generations, jobs, operators, own }, folder)
}

fn secrets(value: &str) -> BTreeMap<String, SecretValue> {
    [("key".to_owned(), SecretValue::new(value))].into()
}

impl Desk {
    async fn ask(&self, caller: &Caller) -> Result<ChatAnswer, ServiceError> {
        let resolved = self.generations.resolve(caller, "scripted/found", Task::Chat).await?;
        let parts = vec![Part::Text("how much".to_owned())];
        let message = Message { role: ChatRole::User, parts, name: None };
        let live = self.generations.chat(caller, resolved, ChatRequest::new("", vec![message]))?;
        ChatAnswer::read(live).await
    }

    async fn keep(&self, caller: &Caller) {
        let (kept, checked) = self.own_keys.put(caller, "scripted", secrets("mine")).await.expect("kept");
        assert_eq!((kept.secrets, checked), (vec!["key".to_owned()], Checked::Good));
    }
}

#[tokio::test]
async fn a_call_under_a_caller_s_own_key_costs_nothing_here_and_is_recorded() {
    let (desk, _folder) = desk(true).await;
    let (one, other) = (caller(), caller());
    *desk.own.chat.lock().expect("no panic") = answer(Some([7, 3]));
    desk.keep(&one).await;
    desk.ask(&one).await.expect("their own provider answers");
    assert!(
        matches!(desk.ask(&other).await, Err(ServiceError::NotPriced { .. })),
        "the operator's has no price"
    );
    assert!(desk.operators.seen.lock().expect("no panic").talks.is_empty());
    desk.store.fold().expect("folded");
    let record = last(&desk.store, &one);
    assert!(record.cost.is_none_or(|cost| cost.is_zero()), "{record:?}");

    desk.own_keys.remove(&one, "scripted").await.expect("removed");
    assert!(matches!(desk.ask(&one).await, Err(ServiceError::NotPriced { .. })), "at once");
    let gone = desk.own_keys.remove(&one, "scripted").await.expect_err("gone already");
    assert!(matches!(gone, ServiceError::NotFound { .. }), "{gone}");
}

#[tokio::test]
async fn a_key_that_came_with_its_request_is_for_that_request_and_for_no_job() {
    let (desk, _folder) = desk(true).await;
    let plain = caller();
    let sent = |key: &str| Caller { own_key: Some(Arc::new(SecretValue::new(key))), ..plain.clone() };
    *desk.own.chat.lock().expect("no panic") = answer(Some([7, 3]));
    desk.ask(&sent("mine")).await.expect("under the key");
    assert!(matches!(desk.ask(&plain).await, Err(ServiceError::NotPriced { .. })), "and no other");
    assert!(matches!(desk.ask(&sent("bad")).await, Err(ServiceError::OwnKeyUnusable { .. })));
    let refused =
        desk.jobs.admit(&sent("mine"), Task::ImageGeneration, painting()).await.expect_err("refused");
    assert!(matches!(refused, ServiceError::OwnKeyNotKept), "{refused}");
}

#[tokio::test]
async fn a_job_under_a_caller_s_own_key_ends_with_the_key() {
    let (desk, _folder) = desk(true).await;
    let one = caller();
    desk.keep(&one).await;
    let acts = std::iter::once(Act::Done("a cat")).chain(std::iter::repeat_n(Act::Pending, 500));
    desk.own.acts.lock().expect("no panic").extend(acts);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let jobs = desk.jobs.clone();
        async move { jobs.run(stopped).await }
    });
    let patience = Duration::from_secs(20);
    let job = desk.jobs.admit(&one, Task::ImageGeneration, painting()).await.expect("admitted");
    let job = desk.jobs.wait(&one, job.id, patience).await.expect("there");
    assert_eq!(
        (job.state, job.bill.is_own_key, job.bill.held.is_zero()),
        (JobState::Succeeded, true, true),
        "{job:?}"
    );

    let job = desk.jobs.admit(&one, Task::ImageGeneration, painting()).await.expect("admitted");
    while desk.own.seen.lock().expect("no panic").submissions < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    desk.own_keys.remove(&one, "scripted").await.expect("removed");
    let job = desk.jobs.wait(&one, job.id, patience).await.expect("there");
    assert_eq!(job.error.as_ref().map(|error| error.code.as_str()), Some("own_key_unusable"), "{job:?}");
    assert_eq!(desk.operators.seen.lock().expect("no panic").submissions, 0);
    stop.send(true).expect("it runs");
    running.await.expect("it ends");
}

#[tokio::test]
async fn an_instance_that_was_configured_anew_is_asked_with_the_key_again() {
    let (desk, _folder) = desk(true).await;
    let one = caller();
    desk.keep(&one).await;
    *desk.own.chat.lock().expect("no panic") = answer(None);
    desk.ask(&one).await.expect("answered");
    let (renewed, own) = (Scripted::new([]), Scripted::new([]));
    *own.chat.lock().expect("no panic") = answer(None);
    *renewed.own.lock().expect("no panic") = Some(own.clone());
    desk.registry.put(&"scripted".parse().expect("a name"), renewed.clone()).await;
    *desk.own.chat.lock().expect("no panic") = None;
    desk.ask(&one).await.expect("the new one answers");
    *renewed.own.lock().expect("no panic") = None;
    desk.registry.put(&"scripted".parse().expect("a name"), Scripted::new([])).await;
    let unusable = desk.ask(&one).await.expect_err("it takes none any more");
    assert!(
        matches!(unusable, ServiceError::OwnKeyUnusable { .. }),
        "never the operator's instead: {unusable}"
    );
}

#[tokio::test]
async fn where_the_operator_offers_none_no_key_is_taken() {
    let (desk, _folder) = desk(false).await;
    let one = caller();
    let refused = desk.own_keys.put(&one, "scripted", secrets("mine")).await.expect_err("refused");
    assert!(matches!(refused, ServiceError::NotOffered), "{refused}");
    let sent = Caller { own_key: Some(Arc::new(SecretValue::new("mine"))), ..one };
    assert!(matches!(desk.ask(&sent).await, Err(ServiceError::NotOffered)));
}
