//! Names that lead to several models: who answers, who steps in, and that nothing is paid twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::alias::{Alias, AliasTarget};
use atelier_domain::failure::FailureCode;
use atelier_domain::generation::chat::{ChatRequest, ChatRole, Message, Part};
use atelier_domain::generation::media::MediaRequest;
use atelier_domain::job::{Job, JobState};
use atelier_domain::model::Task;
use atelier_domain::money::{ModelPrice, PriceBook, PriceLine, PriceSnapshot};
use atelier_domain::plugin::{OwnKey, SecretValue};
use atelier_domain::store::{LedgerStore as _, ProviderKeyStore as _};
use atelier_domain::time::{Clock, SystemClock, Timestamp};
use atelier_service::caller::Caller;
use atelier_service::fetcher::NoFetcher;
use atelier_service::generation::answer::ChatAnswer;
use atelier_service::generation::{CallBudget, Generations};
use atelier_service::jobs::{JobLimits, JobPorts, Jobs};
use atelier_service::ledger::{Accounting, Ledger, LedgerSettings};
use atelier_service::meter::NoMeter;
use atelier_service::registry::{Registry, Resolved};
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::{Blobs, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::disk::plenty;
use crate::jobs::{caller, own_keys, painting, stores};
use crate::money::{amount, rich};
use crate::scripted::{Act, Scripted, Talk};

const ONE: &str = "one";
const TWO: &str = "two";

fn alias(targets: &[(&str, u32)]) -> Alias {
    let target =
        |(model, weight): &(&str, u32)| AliasTarget { model: model.parse().expect("an id"), weight: *weight };
    Alias { targets: targets.iter().map(target).collect(), is_for_administrators: false }
}

/// `chat` and `art` lead to two providers in order, `mixed` by shares of three to one.
fn aliases() -> HashMap<String, Alias> {
    let hidden = Alias { is_for_administrators: true, ..alias(&[("one/found", 1)]) };
    HashMap::from([
        ("chat".to_owned(), alias(&[("one/found", 1), ("two/found", 0)])),
        ("art".to_owned(), alias(&[("one/painter", 1), ("two/painter", 0)])),
        ("mixed".to_owned(), alias(&[("one/found", 3), ("two/found", 1)])),
        ("gone".to_owned(), alias(&[("three/found", 1), ("two/found", 0)])),
        ("staff".to_owned(), hidden),
    ])
}

/// A token that comes out costs ten at the first and thirty at the second, an image one hundred and three hundred.
fn settings() -> LedgerSettings {
    let mut prices = PriceBook::default();
    for (instance, times) in [(ONE, 1), (TWO, 3)] {
        let line = |meter: &str, each: u64| PriceLine {
            meter: meter.to_owned(),
            attributes: Vec::new(),
            per_million: amount(each * times * 1_000_000),
        };
        let chat = vec![line("input-tokens", 1), line("output-tokens", 10)];
        for (model, lines) in [("found", chat), ("painter", vec![line("images", 100)])] {
            let snapshot = Arc::new(PriceSnapshot::new(lines));
            prices.add(&format!("{instance}/{model}"), ModelPrice { snapshot, hold: None }).expect("new");
        }
    }
    LedgerSettings {
        accounting: Accounting::Enforce,
        prices,
        allowance: amount(1_000),
        ..LedgerSettings::default()
    }
}

struct Desk {
    registry: Arc<Registry>,
    generations: Generations,
    ledger: Arc<Ledger>,
    jobs: Jobs,
}

async fn desk(store: &Arc<Store>, blobs: &Arc<Blobs>, one: &Arc<Scripted>, two: &Arc<Scripted>) -> Desk {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let pool = StoragePool::new(StoragePoolLimits::default());
    let registry = Arc::new(Registry::new(aliases(), clock.clone(), Arc::new(NoMeter)).seeded(7));
    for (name, provider) in [(ONE, one), (TWO, two)] {
        registry.put(&name.parse().expect("a name"), provider.clone()).await;
    }
    let ledger = Arc::new(Ledger::new(store.clone(), pool.clone(), clock.clone(), settings()));
    let own_keys = own_keys(store.clone(), &registry, &clock);
    let generations =
        Generations::new(registry.clone(), own_keys.clone(), ledger.clone(), CallBudget::default());
    let ports = JobPorts {
        store: store.clone(),
        blobs: blobs.clone(),
        pool,
        registry: registry.clone(),
        own_keys,
        fetcher: Arc::new(NoFetcher),
        clock,
        meter: Arc::new(NoMeter),
        callbacks: None,
        tracer: None,
        ledger: ledger.clone(),
        room: plenty(),
    };
    Desk { registry, generations, ledger, jobs: Jobs::new(ports, JobLimits::default()) }
}

fn question() -> ChatRequest {
    let message = Message { role: ChatRole::User, parts: vec![Part::Text("hi".to_owned())], name: None };
    ChatRequest { max_output_tokens: Some(5), ..ChatRequest::new("", vec![message]) }
}

impl Desk {
    async fn resolve(&self, caller: &Caller, model: &str) -> Result<Resolved, ServiceError> {
        self.generations.resolve(caller, model, Task::Chat).await
    }

    async fn ask(&self, caller: &Caller, model: &str) -> Result<ChatAnswer, ServiceError> {
        let resolved = self.resolve(caller, model).await?;
        ChatAnswer::read(self.generations.chat(caller, resolved, question())?).await
    }

    /// Has jobs run until it is told to stop.
    fn run(&self) -> (watch::Sender<bool>, JoinHandle<()>) {
        let (stop, stopped) = watch::channel(false);
        let running = self.jobs.clone();
        (stop, tokio::spawn(async move { running.run(stopped).await }))
    }

    /// What a job became.
    async fn paint(&self, caller: &Caller) -> Job {
        let request = MediaRequest { model: "art".to_owned(), ..painting() };
        let job = self.jobs.admit(caller, Task::ImageGeneration, request).await.expect("admitted");
        assert_eq!(job.bill.held, amount(300), "enough for whoever may do it");
        let ended = self.jobs.wait(caller, job.id, Duration::from_secs(20)).await.expect("there");
        assert!(ended.state.is_final(), "{ended:?}");
        ended
    }
}

fn quiet(code: FailureCode) -> Talk {
    Talk { charges: None, ..Talk::failing(code) }
}

fn asked(provider: &Scripted) -> usize {
    provider.seen.lock().expect("no panic").talks.len()
}

#[tokio::test]
async fn requests_are_spread_by_weight() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([]);
    let desk = desk(&store, &blobs, &provider, &provider).await;
    let alice = caller();
    let mut first = HashMap::new();
    for _ in 0..4_000 {
        let resolved = desk.resolve(&alice, "mixed").await.expect("resolved");
        assert_eq!(resolved.fallbacks.len(), 1);
        *first.entry(resolved.model.id.instance().to_owned()).or_insert(0) += 1;
    }
    // Three in four of 4,000, with the seed's own deviation: ten standard deviations are 274.
    assert!((2_726..=3_274).contains(&first[ONE]), "{first:?}");
    for _ in 0..100 {
        let resolved = desk.resolve(&alice, "chat").await.expect("resolved");
        assert_eq!(resolved.model.id.as_str(), "one/found", "of weight 0, it only steps in");
    }
}

#[tokio::test]
async fn another_steps_in_where_nothing_was_taken_and_the_answer_says_who() {
    let (_folder, store, blobs) = stores();
    let one = Scripted::talking([
        quiet(FailureCode::Unavailable),
        quiet(FailureCode::RateLimited),
        Talk::saying("mine"),
    ]);
    let two = Scripted::talking([Talk::saying("yours"), Talk::saying("yours too")]);
    let (desk, alice) = (desk(&store, &blobs, &one, &two).await, rich(&store, 10_000).await);
    for said in ["yours", "yours too"] {
        let answer = desk.ask(&alice, "chat").await.expect("answered");
        assert_eq!((answer.text.as_str(), answer.model_id()), (said, "two/found"));
    }
    let answer = desk.ask(&alice, "chat").await.expect("answered");
    assert_eq!((answer.text.as_str(), answer.model_id()), ("mine", "one/found"));
    desk.ledger.settle().await.expect("folded");
    let costs: Vec<_> = store
        .usage(alice.user(), None, 10)
        .expect("read")
        .iter()
        .map(|record| (record.model.clone(), record.cost.map(|cost| cost.get())))
        .collect();
    let two_found = ("two/found".to_owned(), Some(30));
    assert_eq!(
        costs,
        [("one/found".to_owned(), Some(10)), two_found.clone(), two_found],
        "each once, at its price"
    );
}

#[tokio::test]
async fn nobody_steps_in_once_a_request_that_costs_may_have_been_taken() {
    let (_folder, store, blobs) = stores();
    for code in
        [FailureCode::Unavailable, FailureCode::Overloaded, FailureCode::Internal, FailureCode::Timeout]
    {
        let (one, two) = (Scripted::talking([Talk::failing(code)]), Scripted::talking([]));
        let (desk, alice) = (desk(&store, &blobs, &one, &two).await, rich(&store, 10_000).await);
        desk.ask(&alice, "chat").await.expect_err("it failed");
        assert_eq!((asked(&one), asked(&two)), (1, 0), "{code}");
    }
    // The caller's own mistake goes well nowhere.
    let (one, two) = (Scripted::talking([quiet(FailureCode::InvalidRequest)]), Scripted::talking([]));
    let (desk, alice) = (desk(&store, &blobs, &one, &two).await, rich(&store, 10_000).await);
    desk.ask(&alice, "chat").await.expect_err("it failed");
    assert_eq!((asked(&one), asked(&two)), (1, 0));
}

#[tokio::test]
async fn each_target_is_asked_once_at_most() {
    let (_folder, store, blobs) = stores();
    let one = Scripted::talking([quiet(FailureCode::Unavailable)]);
    let two = Scripted::talking([quiet(FailureCode::Overloaded)]);
    let (desk, alice) = (desk(&store, &blobs, &one, &two).await, rich(&store, 10_000).await);
    let refused = desk.ask(&alice, "chat").await.expect_err("both failed");
    assert!(refused.to_string().contains("overloaded"), "the last one's reason: {refused}");
    assert_eq!((asked(&one), asked(&two)), (1, 1));
}

#[tokio::test]
async fn a_target_that_is_not_there_is_passed_over_and_an_alias_for_staff_is_none_for_others() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([]);
    let desk = desk(&store, &blobs, &provider, &provider).await;
    let alice = caller();
    let resolved = desk.resolve(&alice, "gone").await.expect("resolved");
    assert_eq!((resolved.model.id.as_str(), resolved.fallbacks.len()), ("two/found", 0));
    let refused = desk.resolve(&alice, "staff").await;
    assert!(matches!(refused, Err(ServiceError::ModelUnknown { .. })), "{refused:?}");
    assert!(!desk.registry.aliases(&alice).iter().any(|(name, _)| *name == "staff"));
}

#[tokio::test]
async fn a_job_is_done_by_another_at_its_price_where_nothing_was_taken() {
    let (_folder, store, blobs) = stores();
    let one = Scripted::new([Act::FindNobody, Act::ChargeAndFail(FailureCode::RateLimited, 429)]);
    let two = Scripted::new([Act::Done("a picture"), Act::Done("a picture")]);
    let (desk, alice) = (desk(&store, &blobs, &one, &two).await, rich(&store, 1_000).await);
    let (stop, task) = desk.run();
    for paid in [300, 600] {
        let ended = desk.paint(&alice).await;
        assert_eq!((ended.state, ended.request.model.as_str()), (JobState::Succeeded, "two/painter"));
        assert_eq!(ended.bill.cost.expect("it ended").charged, amount(300));
        let balance = store.balance(alice.user()).expect("read");
        assert_eq!((balance.available, balance.held), (amount(1_000 - paid), amount(0)));
    }
    stop.send_replace(true);
    task.await.expect("it stops");
    assert!(store.audit().expect("read").is_clean());
}

#[tokio::test]
async fn a_job_is_done_by_no_other_once_its_request_may_have_been_taken() {
    let (_folder, store, blobs) = stores();
    let one = Scripted::new([Act::ChargeAndFail(FailureCode::Unavailable, 500)]);
    let two = Scripted::new([]);
    let (desk, alice) = (desk(&store, &blobs, &one, &two).await, rich(&store, 1_000).await);
    let (stop, task) = desk.run();
    let ended = desk.paint(&alice).await;
    stop.send_replace(true);
    task.await.expect("it stops");
    assert_eq!((ended.state, ended.request.model.as_str()), (JobState::Failed, "one/painter"));
    assert_eq!(two.seen.lock().expect("no panic").submissions, 0);
    assert_eq!(store.balance(alice.user()).expect("read").available, amount(1_000));
}

#[tokio::test]
async fn under_a_caller_s_own_key_nobody_steps_in_at_another_s_cost() {
    let (_folder, store, blobs) = stores();
    let (one, two) = (Scripted::talking([]), Scripted::talking([]));
    let own = Scripted::talking([Talk::saying("theirs"), Talk::failing(FailureCode::RateLimited)]);
    *one.own.lock().expect("no panic") = Some(own.clone());
    let desk = desk(&store, &blobs, &one, &two).await;
    // Without a credit: what another may cost is not set aside.
    let poor = caller();
    let secrets = [("key".to_owned(), SecretValue::new("mine"))].into();
    let key = OwnKey { instance: ONE.parse().expect("a name"), secrets, set: Timestamp(1) };
    assert!(store.put_provider_key(poor.user(), &key, 9).expect("kept"));
    for is_good in [true, false] {
        let resolved = desk.resolve(&poor, "chat").await.expect("found");
        let live = desk.generations.chat(&poor, resolved, question()).expect("let in");
        assert_eq!(ChatAnswer::read(live).await.is_ok(), is_good);
    }
    for other in [&one, &two] {
        assert!(other.seen.lock().expect("no panic").talks.is_empty());
    }
}
