//! What live calls cost, on the real store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atelier_domain::failure::FailureCode;
use atelier_domain::generation::chat::{ChatEvent, ChatRequest, ChatRole, FinishReason, Message, Part};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::Task;
use atelier_domain::money::{
    BudgetLimits, Dimension, MicroCredits, ModelPrice, Periods, PriceBook, PriceLine, PriceSnapshot, Refusal,
    Subject, TotalsQuery, UsageRecord,
};
use atelier_domain::store::{AccountStore, LedgerStore};
use atelier_domain::time::{Clock, SystemClock};
use atelier_service::caller::Caller;
use atelier_service::generation::answer::ChatAnswer;
use atelier_service::generation::{CallBudget, Generations, Live};
use atelier_service::ledger::{Accounting, Ledger, LedgerSettings};
use atelier_service::meter::NoMeter;
use atelier_service::registry::Registry;
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::Store;
use futures::StreamExt;
use tokio::sync::watch;

use crate::failing::Failing;
use crate::jobs::{NoOwnKeys, caller, own_keys, stores};
use crate::money::{amount, rich};
use crate::scripted::{Scripted, Talk};

/// A token that comes out costs ten micro-credits, one that goes in one.
pub fn settings() -> LedgerSettings {
    let line = |meter: &str, each: u64| PriceLine {
        meter: meter.to_owned(),
        attributes: Vec::new(),
        per_million: amount(each * 1_000_000),
    };
    let lines = vec![line("input-tokens", 1), line("output-tokens", 10)];
    let mut prices = PriceBook::default();
    let snapshot = Arc::new(PriceSnapshot::new(lines));
    prices.add("scripted/found", ModelPrice { snapshot, hold: None }).expect("new");
    LedgerSettings {
        accounting: Accounting::Enforce,
        prices,
        allowance: amount(1_000),
        ..LedgerSettings::default()
    }
}

pub struct Desk {
    pub generations: Generations,
    pub ledger: Arc<Ledger>,
}

pub async fn desk<S: LedgerStore + AccountStore + 'static>(
    store: &Arc<S>,
    provider: &Arc<Scripted>,
    settings: LedgerSettings,
) -> Desk {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let pool = StoragePool::new(StoragePoolLimits::default());
    let registry = Arc::new(Registry::new(HashMap::new(), clock.clone(), Arc::new(NoMeter)));
    registry.put(&"scripted".parse().expect("a name"), provider.clone()).await;
    let own_keys = own_keys(Arc::new(NoOwnKeys), &registry, &clock);
    let ledger = Arc::new(Ledger::new(store.clone(), pool, clock, settings));
    let generations = Generations::new(registry, own_keys, ledger.clone(), CallBudget::default());
    Desk { generations, ledger }
}

/// Eight bytes, so two tokens, in a frame of four; ten may come out: 24 and 100 micro-credits at most.
fn question() -> ChatRequest {
    let parts = vec![Part::Text("how much".to_owned())];
    let message = Message { role: ChatRole::User, parts, name: None };
    ChatRequest { max_output_tokens: Some(10), ..ChatRequest::new("scripted/found", vec![message]) }
}

pub fn answer(usage: Option<[u64; 2]>) -> Option<Vec<ChatEvent>> {
    let text = |text: &str| ChatEvent::Text(text.to_owned());
    let mut events = vec![text("not "), text("much"), ChatEvent::Finished(FinishReason::Stop)];
    let lines = |[input, output]: [u64; 2]| {
        vec![UsageLine::new("input-tokens", input), UsageLine::new("output-tokens", output)]
    };
    events.extend(usage.map(|usage| ChatEvent::Usage(lines(usage))));
    Some(events)
}

impl Desk {
    pub async fn ask(&self, caller: &Caller) -> Result<Live<ChatEvent>, ServiceError> {
        let resolved = self.generations.resolve(caller, "scripted/found", Task::Chat).await?;
        self.generations.chat(caller, resolved, question())
    }

    pub async fn whole(&self, caller: &Caller) -> Result<ChatAnswer, ServiceError> {
        ChatAnswer::read(self.ask(caller).await?).await
    }
}

#[tokio::test]
async fn what_a_call_used_beyond_what_was_set_aside_is_kept_and_summed_up() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    // Six come in and fifty go out, of which ten were asked for: 506 micro-credits, where 124 were set aside.
    *provider.chat.lock().expect("no panic") = answer(Some([6, 50]));
    let (desk, alice) = (desk(&store, &provider, settings()).await, rich(&store, 5_000).await);
    for _ in 0..2 {
        desk.whole(&alice).await.expect("answered");
    }
    store.fold().expect("folded");
    let record = last(&store, &alice);
    assert_eq!((record.cost, record.uncollected), (Some(amount(124)), amount(382)));
    let today = record.at.day();
    let wanted =
        TotalsQuery { user: None, by: Dimension::Day, first_day: today, last_day: today, after: None };
    let sums = store.totals(&wanted, 10).expect("read");
    assert_eq!((sums[0].1.cost, sums[0].1.uncollected), (amount(248), amount(764)));
}

pub fn last(store: &Store, caller: &Caller) -> UsageRecord {
    store.usage(caller.user(), None, 1).expect("read").pop().expect("a record")
}

#[tokio::test]
async fn usage_is_listed_as_long_as_the_operator_says() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    *provider.chat.lock().expect("no panic") = answer(Some([6, 2]));
    let kept = |usage_kept_for| LedgerSettings { usage_kept_for, ..settings() };
    let alice = rich(&store, 5_000).await;
    let desk_of_a_day = desk(&store, &provider, kept(Duration::from_secs(86_400))).await;
    desk_of_a_day.whole(&alice).await.expect("answered");
    store.fold().expect("folded");
    assert_eq!(desk_of_a_day.ledger.sweep_usage().await.expect("swept"), 0, "it is from today");
    let forgetful = desk(&store, &provider, kept(Duration::ZERO)).await;
    while forgetful.ledger.sweep_usage().await.expect("swept") == 0 {
        tokio::task::yield_now().await;
    }
    assert!(store.usage(alice.user(), None, 10).expect("read").is_empty());
}

#[tokio::test]
async fn a_live_call_is_charged_what_it_used_and_the_allowance_comes_back() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    *provider.chat.lock().expect("no panic") = answer(Some([6, 2]));
    let (desk, alice) = (desk(&store, &provider, settings()).await, rich(&store, 5_000).await);
    for _ in 0..3 {
        desk.whole(&alice).await.expect("answered");
    }
    let balance = store.balance(alice.user()).expect("read");
    assert_eq!(
        (balance.available, balance.allowance),
        (amount(4_000), amount(1_000)),
        "taken once for all three"
    );
    desk.ledger.settle().await.expect("folded");
    assert_eq!(last(&store, &alice).cost, Some(amount(26)));
    let (stop, stopped) = watch::channel(true);
    desk.ledger.run(stopped).await;
    drop(stop);
    let balance = store.balance(alice.user()).expect("read");
    assert_eq!((balance.available, balance.allowance), (amount(5_000 - 3 * 26), MicroCredits::ZERO));
    assert!(store.audit().expect("read").is_clean());
}

#[tokio::test]
async fn a_stream_that_its_client_leaves_is_charged_what_was_delivered() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    *provider.chat.lock().expect("no panic") = answer(Some([6, 2]));
    let (desk, alice) = (desk(&store, &provider, settings()).await, rich(&store, 5_000).await);
    let mut live = desk.ask(&alice).await.expect("begun");
    live.next().await.expect("an event").expect("text");
    drop(live);
    desk.ledger.settle().await.expect("folded");
    let record = last(&store, &alice);
    assert_eq!((record.outcome.as_str(), record.is_estimated), ("abandoned", true));
    // Six tokens in, and the four bytes that were delivered: one token.
    assert_eq!((record.usage[1].quantity, record.cost), (1, Some(amount(6 + 10))));
    assert!(store.audit().expect("read").is_clean());
}

#[tokio::test]
async fn usage_that_is_not_reported_is_estimated_and_a_failure_before_any_answer_costs_nothing() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    let (desk, alice) = (desk(&store, &provider, settings()).await, rich(&store, 5_000).await);
    let failing = Talk { charges: None, ..Talk::failing(FailureCode::Overloaded) };
    provider.talks.lock().expect("no panic").push_back(failing);
    desk.whole(&alice).await.expect_err("it fails");
    desk.ledger.settle().await.expect("folded");
    let failed = last(&store, &alice);
    assert_eq!((failed.outcome.as_str(), failed.cost), ("reported", Some(MicroCredits::ZERO)));
    assert!(failed.usage.is_empty() && !failed.is_estimated);
    *provider.chat.lock().expect("no panic") = answer(None);
    desk.whole(&alice).await.expect("answered");
    desk.ledger.settle().await.expect("folded");
    let estimated = last(&store, &alice);
    assert_eq!(
        (estimated.is_estimated, estimated.cost),
        (true, Some(amount(6 + 20))),
        "eight bytes came out"
    );
}

#[tokio::test]
async fn a_call_is_never_charged_more_than_was_set_aside_for_it() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    *provider.chat.lock().expect("no panic") = answer(Some([u64::MAX, u64::MAX]));
    let (desk, alice) = (desk(&store, &provider, settings()).await, rich(&store, 5_000).await);
    desk.whole(&alice).await.expect("answered");
    desk.ledger.settle().await.expect("folded");
    assert_eq!(last(&store, &alice).cost, Some(amount(24 + 100)));
    assert!(store.audit().expect("read").is_clean());
}

#[tokio::test]
async fn a_call_that_cannot_be_paid_is_refused_before_anybody_is_asked() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    *provider.chat.lock().expect("no panic") = answer(Some([6, 2]));
    let (desk, alice) = (desk(&store, &provider, settings()).await, rich(&store, 123).await);
    let refused = desk.whole(&alice).await;
    let expected = Refusal::InsufficientCredits { needed: amount(124), available: amount(123) };
    assert!(matches!(&refused, Err(ServiceError::Refused(why)) if *why == expected), "{refused:?}");
    let unpriced = LedgerSettings { accounting: Accounting::Enforce, ..LedgerSettings::default() };
    let strict = crate::live_money::desk(&store, &provider, unpriced).await;
    let refused = strict.whole(&alice).await;
    assert!(
        matches!(&refused, Err(ServiceError::NotPriced { model }) if model == "scripted/found"),
        "{refused:?}"
    );
    // Without enforcement nobody needs credits, and everything is recorded.
    let open = crate::live_money::desk(&store, &provider, LedgerSettings::default()).await;
    let poor = caller();
    open.whole(&poor).await.expect("answered");
    open.ledger.settle().await.expect("folded");
    assert_eq!((last(&store, &poor).cost, last(&store, &poor).usage.len()), (None, 2));
}

#[tokio::test]
async fn many_calls_at_once_never_overspend_and_the_last_credits_can_be_used() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    *provider.chat.lock().expect("no panic") = answer(Some([4, 10]));
    let (desk, alice) = (Arc::new(desk(&store, &provider, settings()).await), rich(&store, 2_000).await);
    let limits = BudgetLimits { day: Some(amount(1_500)), month: None };
    store.set_budget(Subject::User(alice.user()), limits).expect("set");
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let (desk, alice) = (desk.clone(), alice.clone());
            tokio::spawn(async move { desk.whole(&alice).await.is_ok() })
        })
        .collect();
    let mut answered = 0;
    for call in calls {
        answered += u64::from(call.await.expect("no panic"));
    }
    // One after the other, what was set aside for others and not needed is found again.
    while desk.whole(&alice).await.is_ok() {
        answered += 1;
    }
    desk.ledger.settle().await.expect("folded");
    let spending =
        store.spending(Subject::User(alice.user()), Periods::at(SystemClock::default().now())).expect("read");
    assert_eq!(spending.day.spent, amount(answered * 104));
    assert!(
        answered * 104 + 124 > 1_500,
        "{answered} of 13 calls fit the budget: 1500 - 1352 is more than the 124 of another"
    );
    assert!(store.audit().expect("read").is_clean());
}

#[tokio::test]
async fn while_calls_cannot_be_recorded_none_is_let_in_and_those_under_way_are_charged_later() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    *provider.chat.lock().expect("no panic") = answer(Some([6, 2]));
    let failing = Arc::new(Failing::over(&store));
    let (desk, alice) = (desk(&failing, &provider, settings()).await, rich(&store, 5_000).await);
    let under_way = [desk.ask(&alice).await.expect("begun"), desk.ask(&alice).await.expect("begun")];
    failing.is_failing.store(true, Ordering::SeqCst);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn({
        let ledger = desk.ledger.clone();
        async move { ledger.run(stopped).await }
    });
    let [first, second] = under_way.map(ChatAnswer::read);
    first.await.expect("answered");
    let refused = async || matches!(desk.ask(&alice).await, Err(ServiceError::StorageBusy));
    assert!(refused().await);
    // It is looked again and again, and the look decides.
    while failing.probes.load(Ordering::SeqCst) < 3 {
        assert!(refused().await, "it was let in although nothing can be recorded");
        tokio::task::yield_now().await;
    }
    assert!(refused().await);
    second.await.expect("answered");
    failing.is_failing.store(false, Ordering::SeqCst);
    while refused().await {
        tokio::task::yield_now().await;
    }
    stop.send_replace(true);
    running.await.expect("it stops");
    let records = store.usage(alice.user(), None, 10).expect("read");
    let charged = records.iter().filter(|record| record.outcome == "ok").map(|record| record.cost);
    assert_eq!(charged.collect::<Vec<_>>(), [Some(amount(26)); 2]);
    let balance = store.balance(alice.user()).expect("read");
    assert_eq!((balance.available, balance.allowance), (amount(5_000 - 2 * 26), MicroCredits::ZERO));
    assert!(store.audit().expect("read").is_clean());
}

#[tokio::test]
async fn a_refill_that_would_be_less_than_what_is_left_takes_nothing_from_anybody() {
    let (_folder, store, _) = stores();
    let provider = Scripted::new([]);
    *provider.chat.lock().expect("no panic") = answer(Some([6, 2]));
    let (desk, alice) = (desk(&store, &provider, settings()).await, rich(&store, 1_050).await);
    // 124 each of 1000: 132 are left, which is little, and 50 could be had.
    let mut under_way = Vec::new();
    for _ in 0..7 {
        under_way.push(desk.ask(&alice).await.expect("begun").begin().await.expect("an answer"));
    }
    // It is tried in the background, and may end at any time.
    for _ in 0..200 {
        if store.balance(alice.user()).expect("read").available != amount(50) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let eighth = desk.whole(&alice).await;
    assert!(eighth.is_ok(), "there is enough for it: {eighth:?}");
    drop(under_way);
    let (stop, stopped) = watch::channel(true);
    desk.ledger.run(stopped).await;
    drop(stop);
    assert!(store.audit().expect("read").is_clean());
    assert_eq!(store.balance(alice.user()).expect("read").allowance, MicroCredits::ZERO);
}
