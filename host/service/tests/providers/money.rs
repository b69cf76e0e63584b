//! What jobs cost, on the real store.

use std::sync::Arc;

use atelier_domain::account::{Principal, Role, Scope, User};
use atelier_domain::failure::FailureCode;
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::id::{JobId, KeyId, UserId};
use atelier_domain::job::{Job, JobState};
use atelier_domain::model::Task;
use atelier_domain::money::{
    BudgetLimits, Dimension, MicroCredits, ModelPrice, PriceBook, PriceLine, PriceSnapshot, Refusal,
    TotalsQuery,
};
use atelier_domain::store::{AccountStore as _, LedgerStore as _};
use atelier_domain::time::{SystemClock, Timestamp};
use atelier_service::caller::Caller;
use atelier_service::ledger::{Accounting, Ledger, LedgerSettings};
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::Store;

use crate::jobs::{Engine, admit, caller, end_of, painting, stores};
use crate::scripted::{Act, Scripted};

pub fn amount(micro_credits: u64) -> MicroCredits {
    MicroCredits::new(micro_credits).expect("small")
}

/// An image costs so much; a job of unknown size at most `hold`.
fn settings(of_image: u64, hold: u64) -> LedgerSettings {
    settings_of("scripted/painter", "images", of_image, hold)
}

/// A unit of a model's meter costs so much; a job or call of unknown size `hold`.
pub fn settings_of(model: &str, meter: &str, each: u64, hold: u64) -> LedgerSettings {
    let line =
        PriceLine { meter: meter.to_owned(), attributes: Vec::new(), per_million: amount(each * 1_000_000) };
    let mut prices = PriceBook::default();
    let snapshot = Arc::new(PriceSnapshot::new(vec![line]));
    prices.add(model, ModelPrice { snapshot, hold: Some(amount(hold)) }).expect("new");
    LedgerSettings { accounting: Accounting::Enforce, prices, ..LedgerSettings::default() }
}

fn principal(user: UserId, role: Role) -> Principal {
    Principal { user, role, key: KeyId::new(), scopes: Scope::ALL.to_vec(), expires: None, session: None }
}

fn ledger(store: &Arc<Store>) -> Ledger {
    let pool = StoragePool::new(StoragePoolLimits::default());
    Ledger::new(store.clone(), pool, Arc::new(SystemClock::default()), settings(10, 60))
}

/// A caller with an account and credits.
pub async fn rich(store: &Arc<Store>, credits: u64) -> Caller {
    let caller = caller();
    let (id, name) = (caller.user(), caller.user().to_string());
    let user = User { id, name, role: Role::User, created: Timestamp(0), disabled: false, verified: None };
    store.create_user(&user).expect("created");
    let administrator = principal(UserId::new(), Role::Administrator);
    ledger(store)
        .grant((&administrator).into(), caller.user(), amount(credits), "welcome")
        .await
        .expect("granted");
    caller
}

fn available(store: &Store, caller: &Caller) -> u64 {
    let balance = store.balance(caller.user()).expect("read");
    assert_eq!(balance.held, MicroCredits::ZERO, "nothing stays set aside");
    balance.available.get()
}

fn charged(job: &Job) -> u64 {
    job.bill.cost.expect("it has ended").charged.get()
}

#[tokio::test]
async fn a_job_is_charged_what_it_used_and_a_failed_or_canceled_one_nothing() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([
        Act::DoneUsing(vec![UsageLine::new("images", 2)]),
        Act::Fail(FailureCode::ContentRefused),
        Act::Waiting("p-1"),
    ]);
    *provider.estimate.lock().expect("no panic") = Some(vec![UsageLine::new("images", 4)]);
    let engine = Engine::with(&store, &blobs, &provider, settings(10, 60)).await;
    let alice = rich(&store, 100).await;
    let admitted = admit(&engine, &alice).await;
    assert_eq!(admitted.bill.held, amount(40), "what its provider says at most");
    assert_eq!(charged(&end_of(&engine, &alice, &admitted).await), 20);
    assert_eq!(available(&store, &alice), 80);
    let failed = end_of(&engine, &alice, &admit(&engine, &alice).await).await;
    assert_eq!((failed.state, charged(&failed)), (JobState::Failed, 0));
    let waiting = admit(&engine, &alice).await;
    while engine.jobs.get(&alice, waiting.id).await.expect("there").ticket.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.balance(alice.user()).expect("read").held, amount(40));
    engine.jobs.cancel(&alice, waiting.id).await.expect("asked");
    assert_eq!(end_of(&engine, &alice, &waiting).await.state, JobState::Canceled);
    assert_eq!(available(&store, &alice), 80);
    assert!(store.audit().expect("read").is_clean());
    engine.stop().await;
}

#[tokio::test]
async fn a_job_that_its_caller_cannot_pay_is_refused_and_leaves_nothing() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([]);
    let engine = Engine::with(&store, &blobs, &provider, settings(10, 60)).await;
    let alice = rich(&store, 9).await;
    let refused = engine.jobs.admit(&alice, Task::ImageGeneration, painting()).await;
    let expected = Refusal::InsufficientCredits { needed: amount(10), available: amount(9) };
    assert!(matches!(&refused, Err(ServiceError::Refused(why)) if *why == expected), "{refused:?}");
    assert!(engine.jobs.list(&alice, None, 10).await.expect("listed").is_empty());
    assert_eq!(available(&store, &alice), 9);
    assert_eq!(provider.seen.lock().expect("no panic").submissions, 0);
    engine.stop().await;
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_where_credits_are_needed_and_free_where_that_is_said() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::Done("x"), Act::Done("y")]);
    let none = LedgerSettings { accounting: Accounting::Enforce, ..LedgerSettings::default() };
    let engine = Engine::with(&store, &blobs, &provider, none).await;
    let refused = engine.jobs.admit(&caller(), Task::ImageGeneration, painting()).await;
    assert!(
        matches!(&refused, Err(ServiceError::NotPriced { model }) if model == "scripted/painter"),
        "{refused:?}"
    );
    engine.stop().await;
    let mut prices = PriceBook::default();
    prices.add("scripted/*", ModelPrice { snapshot: Arc::default(), hold: None }).expect("new");
    let free = LedgerSettings { accounting: Accounting::Enforce, prices, ..LedgerSettings::default() };
    let engine = Engine::with(&store, &blobs, &provider, free).await;
    let (poor, job) = {
        let poor = caller();
        let job = admit(&engine, &poor).await;
        (poor, job)
    };
    assert_eq!(charged(&end_of(&engine, &poor, &job).await), 0);
    engine.stop().await;
    // Without enforcement nothing needs a price, and what was used is recorded all the same.
    let engine = Engine::start(&store, &blobs, &provider).await;
    let job = admit(&engine, &poor).await;
    assert_eq!(end_of(&engine, &poor, &job).await.bill.cost, None);
    let records = store.usage(poor.user(), None, 10).expect("read");
    assert_eq!(
        records.iter().map(|record| record.cost).collect::<Vec<_>>(),
        [None, Some(MicroCredits::ZERO)]
    );
    engine.stop().await;
}

#[tokio::test]
async fn usage_that_a_provider_does_not_report_is_estimated_and_marked() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::DoneUsing(Vec::new())]);
    let engine = Engine::with(&store, &blobs, &provider, settings(10, 60)).await;
    let alice = rich(&store, 100).await;
    let mut request = painting();
    request.count = 3;
    let job = engine.jobs.admit(&alice, Task::ImageGeneration, request).await.expect("admitted");
    let job = end_of(&engine, &alice, &job).await;
    assert_eq!((charged(&job), job.bill.is_estimated), (30, true));
    assert_eq!(job.usage, [UsageLine::new("images", 3)]);
    let record = store.usage(alice.user(), None, 1).expect("read").remove(0);
    assert!(record.is_estimated && record.job == Some(job.id) && record.key == Some(alice.principal.key));
    engine.stop().await;
}

#[tokio::test]
async fn usage_that_nobody_tells_in_a_meter_that_has_a_price_costs_the_operators_price_for_such_a_job() {
    let (_folder, store, blobs) = stores();
    let told = |meter: &str| Act::DoneUsing(vec![UsageLine::new(meter, 2)]);
    let provider = Scripted::new([Act::DoneUsing(Vec::new()), told("compute-ms"), told("images")]);
    let settings = settings_of("scripted/painter", "compute-ms", 10, 60);
    let engine = Engine::with(&store, &blobs, &provider, settings).await;
    let alice = rich(&store, 1_000).await;
    // What is told in another meter is taken at the provider's word, costs nothing, and shows.
    for (cost, is_unpriced) in [(60, false), (20, false), (0, true)] {
        let job = end_of(&engine, &alice, &admit(&engine, &alice).await).await;
        let told = job.bill.cost.expect("it has ended");
        assert_eq!((told.charged, told.is_unpriced), (amount(cost), is_unpriced));
    }
    assert_eq!(available(&store, &alice), 920);
    engine.stop().await;
}

#[tokio::test]
async fn a_job_keeps_no_more_of_reported_usage_than_there_is_room_for() {
    let (_folder, store, blobs) = stores();
    let mut absurd = vec![UsageLine::new(&"m".repeat(1_000), 1); 10_000];
    absurd.extend(vec![UsageLine::new("images", 1); 100]);
    let provider = Scripted::new([Act::DoneUsing(absurd.clone())]);
    *provider.estimate.lock().expect("no panic") = Some(absurd);
    let engine = Engine::with(&store, &blobs, &provider, settings(10, 60)).await;
    let alice = rich(&store, 1_000).await;
    let job = admit(&engine, &alice).await;
    assert_eq!((job.bill.estimate.len(), job.bill.held), (32, amount(320)));
    let job = end_of(&engine, &alice, &job).await;
    assert_eq!((job.state, job.usage.len(), charged(&job)), (JobState::Succeeded, 32, 320));
    engine.stop().await;
}

#[tokio::test]
async fn a_job_costs_what_was_the_price_when_it_was_let_in() {
    let (_folder, store, blobs) = stores();
    let waiting = Scripted::new(std::iter::repeat_n(Act::Pending, 1000));
    let engine = Engine::with(&store, &blobs, &waiting, settings(10, 60)).await;
    let alice = rich(&store, 100).await;
    let job = admit(&engine, &alice).await;
    while engine.jobs.get(&alice, job.id).await.expect("there").ticket.is_none() {
        tokio::task::yield_now().await;
    }
    engine.stop().await;
    // The prices have risen a hundredfold when the server comes back.
    let provider = Scripted::new([Act::DoneUsing(vec![UsageLine::new("images", 1)])]);
    let engine = Engine::with(&store, &blobs, &provider, settings(1_000, 60)).await;
    assert_eq!(charged(&end_of(&engine, &alice, &job).await), 10);
    assert_eq!(available(&store, &alice), 90);
    engine.stop().await;
}

#[tokio::test]
async fn a_job_whose_outcome_is_unknown_gets_its_hold_back() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::ChargeAndHang(false)]);
    let engine = Engine::with(&store, &blobs, &provider, settings(10, 60)).await;
    let alice = rich(&store, 100).await;
    let job = admit(&engine, &alice).await;
    provider.charged.notified().await;
    engine.stop().await;
    let second = Engine::with(&store, &blobs, &provider, settings(10, 60)).await;
    let job = end_of(&second, &alice, &job).await;
    assert_eq!(job.error.as_ref().expect("why").code, "outcome_unknown");
    assert_eq!((charged(&job), available(&store, &alice)), (0, 100));
    assert!(store.audit().expect("read").is_clean());
    second.stop().await;
}

#[tokio::test]
async fn an_estimate_that_the_price_does_not_fit_sets_the_operators_bound_aside() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::DoneUsing(vec![UsageLine::new("images", 900)])]);
    *provider.estimate.lock().expect("no panic") = Some(vec![UsageLine::new("compute-ms", 5)]);
    let engine = Engine::with(&store, &blobs, &provider, settings(10, 60)).await;
    let alice = rich(&store, 100).await;
    let job = admit(&engine, &alice).await;
    assert_eq!(job.bill.held, amount(60));
    let job = end_of(&engine, &alice, &job).await;
    let cost = job.bill.cost.expect("ended");
    assert_eq!(
        (cost.charged, cost.uncollected),
        (amount(60), amount(9_000 - 60)),
        "never more than was set aside"
    );
    engine.stop().await;
}

#[tokio::test]
async fn a_budget_is_set_by_administrators_and_binds() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::DoneUsing(vec![UsageLine::new("images", 1)])]);
    let engine = Engine::with(&store, &blobs, &provider, settings(10, 60)).await;
    let (alice, ledger) = (rich(&store, 100).await, ledger(&store));
    let limits = BudgetLimits { day: Some(amount(15)), month: None };
    let refused = ledger.set_budget((&*alice.principal).into(), alice.user(), None, limits).await;
    assert!(matches!(refused, Err(ServiceError::ScopeMissing(Scope::Admin))), "{refused:?}");
    let administrator = principal(UserId::new(), Role::Administrator);
    ledger.set_budget((&administrator).into(), alice.user(), None, limits).await.expect("set");
    let unknown = ledger.set_budget((&administrator).into(), alice.user(), Some(KeyId::new()), limits).await;
    assert!(matches!(unknown, Err(ServiceError::NotFound { .. })), "{unknown:?}");
    let job = admit(&engine, &alice).await;
    end_of(&engine, &alice, &job).await;
    let refused = engine.jobs.admit(&alice, Task::ImageGeneration, painting()).await;
    let left = |error: &ServiceError| matches!(error, ServiceError::Refused(Refusal::BudgetExceeded { left, .. }) if left.get() == 5);
    assert!(refused.as_ref().is_err_and(left), "{refused:?}");
    let spending = ledger.budget(alice.user(), None).await.expect("read");
    assert_eq!((spending.day.spent, spending.limits), (amount(10), limits));
    let query = TotalsQuery {
        user: Some(alice.user()),
        by: Dimension::Provider,
        first_day: 0,
        last_day: u32::MAX,
        after: None,
    };
    let sums = ledger.totals(query, 10).await.expect("read");
    assert_eq!(
        sums.iter().map(|(key, sum)| (key.value.as_str(), sum.calls, sum.cost.get())).collect::<Vec<_>>(),
        [("scripted", 1, 10)]
    );
    engine.stop().await;
}

#[tokio::test]
async fn nobody_but_an_administrator_makes_credits() {
    let (_folder, store, _blobs) = stores();
    let (alice, ledger) = (rich(&store, 1).await, ledger(&store));
    // A key may have every scope; its user's role decides.
    let refused =
        ledger.grant((&principal(alice.user(), Role::User)).into(), alice.user(), amount(5), "mine").await;
    assert!(matches!(refused, Err(ServiceError::ScopeMissing(Scope::Admin))), "{refused:?}");
    let administrator = principal(UserId::new(), Role::Administrator);
    let refused = ledger.refund((&*alice.principal).into(), JobId::new(), amount(5), "mine").await;
    assert!(matches!(refused, Err(ServiceError::ScopeMissing(Scope::Admin))), "{refused:?}");
    for (amount, reason) in [(MicroCredits::ZERO, "why"), (amount(5), "  "), (amount(5), "a\nb")] {
        let refused = ledger.grant((&administrator).into(), alice.user(), amount, reason).await;
        assert!(matches!(refused, Err(ServiceError::Invalid { .. })), "{refused:?}");
    }
    let nobody = ledger.grant((&administrator).into(), UserId::new(), amount(5), "who?").await;
    assert!(matches!(nobody, Err(ServiceError::NotFound { .. })), "{nobody:?}");
    let no_job = ledger.refund((&administrator).into(), JobId::new(), amount(5), "what?").await;
    assert!(matches!(no_job, Err(ServiceError::NotFound { .. })), "{no_job:?}");
    assert_eq!(available(&store, &alice), 1);
}
