//! Idempotency keys across the death of the process that began with them, on the real store.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::TestClock;
use crate::jobs::{Engine, caller, end_of, painting, stores};
use crate::scripted::{Act, Scripted};
use atelier_domain::id::UserId;
use atelier_domain::idempotency::KeptAnswer;
use atelier_domain::job::JobState;
use atelier_domain::model::Task;
use atelier_domain::provider::ChargeJournal as _;
use atelier_domain::store::JobStore as _;
use atelier_domain::time::{Clock, SystemClock};
use atelier_service::caller::Caller;
use atelier_service::idempotency::{Effect, Entered, Idempotency, IdempotencyLimits, Ticket, When};
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::Store;

const ROUTE: &str = "POST /v1/things";

/// The keys of a process: another one knows only what is in the store.
fn process(store: &Arc<Store>) -> Idempotency {
    with_clock(store, Arc::new(SystemClock::default()))
}

fn with_clock(store: &Arc<Store>, clock: Arc<dyn Clock>) -> Idempotency {
    let pool = StoragePool::new(StoragePoolLimits::default());
    Idempotency::new(store.clone(), pool, clock, IdempotencyLimits::default())
}

async fn enter(process: &Idempotency, owner: UserId, when: When) -> Result<Entered, ServiceError> {
    process.enter(owner, ROUTE, "key", "payload".to_owned(), when).await
}

async fn begin(process: &Idempotency, owner: UserId, when: When) -> Ticket {
    match enter(process, owner, when).await.expect("it is let in") {
        Entered::Handle(ticket) => ticket,
        Entered::Replay { answer, .. } => panic!("it was answered: {answer:?}"),
    }
}

fn answer(status: u16) -> KeptAnswer {
    let headers = vec![("location".to_owned(), "/things/1".to_owned())];
    KeptAnswer { status, headers, has_body: false }
}

#[tokio::test]
async fn an_answer_is_given_again_by_the_next_process() {
    let (_folder, store, _) = stores();
    let owner = UserId::new();
    let ticket = begin(&process(&store), owner, When::Before).await;
    ticket.keep(answer(201), Some(b"made".to_vec())).await.expect("kept");
    match enter(&process(&store), owner, When::Before).await.expect("answered") {
        Entered::Replay { answer: again, body } => {
            assert_eq!((again, body), (KeptAnswer { has_body: true, ..answer(201) }, b"made".to_vec()));
        }
        Entered::Handle(ticket) => panic!("it is done twice: {ticket:?}"),
    }
    let other = process(&store).enter(owner, ROUTE, "key", "another".to_owned(), When::Before).await;
    assert!(matches!(other, Err(ServiceError::KeyReused)), "{other:?}");
    begin(&process(&store), UserId::new(), When::Before).await;
}

#[tokio::test]
async fn what_was_interrupted_before_it_cost_is_simply_done_and_after_it_is_unknown() {
    let (_folder, store, _) = stores();
    let owner = UserId::new();
    let ticket = begin(&process(&store), owner, When::WithEffect).await;
    assert_eq!(ticket.effect(), Effect::None, "nothing is written for a call that has not left");
    drop(ticket);
    let ticket = begin(&process(&store), owner, When::WithEffect).await;
    ticket.request().charging(true).await.expect("noted");
    assert_eq!(ticket.effect(), Effect::None, "its provider knows it by a key, and so it may be sent again");
    drop(ticket);
    let ticket = begin(&process(&store), owner, When::WithEffect).await;
    ticket.request().charging(false).await.expect("noted");
    assert_eq!(ticket.effect(), Effect::Charged);
    drop(ticket);
    for _ in 0..2 {
        let again = enter(&process(&store), owner, When::WithEffect).await;
        assert!(matches!(again, Err(ServiceError::ClaimUnknown)), "{again:?}");
    }
}

#[tokio::test]
async fn a_key_is_free_as_long_as_no_request_that_left_is_outstanding() {
    let (_folder, store, _) = stores();
    let owner = UserId::new();
    let process = process(&store);
    let ticket = begin(&process, owner, When::WithEffect).await;
    let request = ticket.request();
    for _ in 0..2 {
        request.charging(false).await.expect("noted");
    }
    request.withdrawn(false);
    assert_eq!(ticket.effect(), Effect::Charged, "one of two may have been paid for");
    request.withdrawn(false);
    request.charging(true).await.expect("noted");
    request.withdrawn(true);
    assert_eq!(ticket.effect(), Effect::None);
    drop(request);
    ticket.free().await.expect("freed");
    assert_eq!(
        begin(&process, owner, When::WithEffect).await.effect(),
        Effect::None,
        "nothing is left of it"
    );
}

#[tokio::test]
async fn a_freed_key_may_be_tried_again_and_a_running_one_may_not() {
    let (_folder, store, _) = stores();
    let (owner, process) = (UserId::new(), process(&store));
    let ticket = begin(&process, owner, When::Before).await;
    let meanwhile = enter(&process, owner, When::Before).await;
    assert!(matches!(meanwhile, Err(ServiceError::KeyInUse)), "{meanwhile:?}");
    let other = process.enter(owner, ROUTE, "key", "another".to_owned(), When::Before).await;
    assert!(matches!(other, Err(ServiceError::KeyReused)), "{other:?}");
    ticket.free().await.expect("freed");
    begin(&process, owner, When::Before).await;
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day_and_swept() {
    let (_folder, store, _) = stores();
    let clock = Arc::new(TestClock(1_000.into()));
    let (owner, process) = (UserId::new(), with_clock(&store, clock.clone()));
    begin(&process, owner, When::Before).await.keep(answer(201), None).await.expect("kept");
    clock.pass_seconds(24 * 3600 - 1);
    let lost = enter(&process, owner, When::Before).await;
    assert!(matches!(lost, Err(ServiceError::AnswerNotKept)), "{lost:?}");
    clock.pass_seconds(1);
    begin(&process, owner, When::WithEffect).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let sweeping = tokio::spawn(async move { process.run(stopped).await });
    let key = atelier_domain::idempotency::ClaimKey::new(owner, ROUTE, "key");
    while atelier_domain::idempotency::ClaimStore::claim(&*store, &key).expect("read").is_some() {
        tokio::task::yield_now().await;
    }
    stop.send_replace(true);
    sweeping.await.expect("it stops");
}

#[tokio::test]
async fn a_provider_is_called_under_the_same_key_by_a_repetition_and_another_for_each_call() {
    let (_folder, store, _) = stores();
    let alice = caller();
    let keys = |ticket: &Ticket| {
        let caller = Caller { keyed: Some(ticket.request()), ..alice.clone() };
        [(); 3].map(|()| caller.keyed.as_ref().expect("a key").call_key())
    };
    let first = keys(&begin(&process(&store), alice.user(), When::WithEffect).await);
    let again = keys(&begin(&process(&store), alice.user(), When::WithEffect).await);
    assert_eq!(first, again);
    assert!(first[0] != first[1] && first[1] != first[2], "{first:?}");
}

#[tokio::test]
async fn a_request_repeated_after_a_crash_is_about_the_job_that_the_first_became() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::Pending, Act::Done("a cat")]);
    let alice = caller();
    let ticket = begin(&process(&store), alice.user(), When::WithEffect).await;
    let keyed = Caller { keyed: Some(ticket.request()), ..alice.clone() };
    let engine = Engine::start(&store, &blobs, &provider).await;
    let first = engine.jobs.admit(&keyed, Task::ImageGeneration, painting()).await.expect("admitted");
    assert_eq!(ticket.effect(), Effect::Job);
    let second = engine.jobs.admit(&keyed, Task::ImageGeneration, painting()).await.expect("admitted");
    assert_ne!(second.id, first.id, "a request of several jobs makes several");
    // The answer was not recorded, and neither is anything else that the process knew.
    drop((ticket, keyed));
    engine.stop().await;
    let ticket = begin(&process(&store), alice.user(), When::WithEffect).await;
    assert!(ticket.is_repetition());
    let keyed = Caller { keyed: Some(ticket.request()), ..alice.clone() };
    let provider = Scripted::new(std::iter::repeat_n(Act::Done("a cat"), 2));
    let engine = Engine::start(&store, &blobs, &provider).await;
    end_of(&engine, &alice, &first).await;
    let again = engine.jobs.admit(&keyed, Task::ImageGeneration, painting()).await.expect("found");
    assert_eq!(again, first, "as it was admitted, though it has ended");
    assert_eq!(end_of(&engine, &alice, &again).await.state, JobState::Succeeded);
    assert_eq!(store.jobs_of(alice.user(), None, 10).expect("read").len(), 2);
    tokio::time::timeout(Duration::from_secs(20), engine.stop()).await.expect("it stops");
}
