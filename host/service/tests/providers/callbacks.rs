//! What callbacks do to jobs, on the real store.

use std::sync::atomic::Ordering;
use std::time::Duration;

use atelier_domain::generation::media::Callback;
use atelier_domain::job::{Job, JobState};
use atelier_service::ServiceError;
use atelier_service::callbacks::{CallbackError, Outcome, Target};
use bytes::Bytes;

use crate::jobs::{Engine, admit, caller, end_of, stores};
use crate::scripted::{Act, Scripted};

/// The token of the address that a target has.
fn token(engine: &Engine, target: &Target) -> String {
    let url = engine.callbacks.address_of(target).expect("there is a public URL");
    url.strip_prefix("https://host.example/hooks/").expect("an address").to_owned()
}

fn of_instance(engine: &Engine) -> String {
    token(engine, &Target::Instance("scripted".parse().expect("a name")))
}

fn callback(id: &str, body: &str) -> Callback {
    let headers =
        [("signature", "genuine"), ("id", id)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    Callback { headers: headers.to_vec(), query: String::new(), body: Bytes::from(body.to_owned()) }
}

async fn receive(engine: &Engine, token: &str, id: &str, body: &str) -> Result<Outcome, CallbackError> {
    engine.callbacks.receive(engine.callbacks.target(token), callback(id, body), None, "test").await
}

fn signing(acts: impl IntoIterator<Item = Act>) -> std::sync::Arc<Scripted> {
    let provider = Scripted::new(acts);
    *provider.signs_callbacks.lock().expect("no panic") = Some(true);
    provider
}

async fn at_its_provider(engine: &Engine, caller: &atelier_service::caller::Caller, job: &Job) {
    while engine.jobs.get(caller, job.id).await.expect("it is there").ticket.is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn wakes(provider: &Scripted) -> Vec<String> {
    provider.seen.lock().expect("no panic").wakes.clone()
}

#[tokio::test]
async fn a_jobs_own_address_wakes_it_with_what_was_said() {
    let (_folder, store, blobs) = stores();
    let provider = signing([Act::Waiting("p-1"), Act::Done("a cat")]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let job = admit(&engine, &alice).await;
    at_its_provider(&engine, &alice, &job).await;
    let url = provider.seen.lock().expect("no panic").callback_urls[0].clone().expect("it was given one");
    let token = token(&engine, &Target::Job(job.id));
    assert!(url.ends_with(&token), "the address that the provider was given");

    let about_another = receive(&engine, &token, "1", r#"{"kind":"done","provider_id":"p-2"}"#).await;
    assert_eq!(about_another.expect("genuine"), Outcome::Unmatched);
    let taken = receive(&engine, &token, "2", r#"{"kind":"done","provider_id":"p-1"}"#).await;
    assert_eq!(taken.expect("genuine"), Outcome::Accepted);
    assert_eq!(end_of(&engine, &alice, &job).await.state, JobState::Succeeded);
    assert_eq!(wakes(&provider), ["done"]);
    let again = receive(&engine, &token, "2", r#"{"kind":"done","provider_id":"p-1"}"#).await;
    assert_eq!(again.expect("genuine"), Outcome::Replayed);
    engine.stop().await;
}

#[tokio::test]
async fn an_instances_one_address_wakes_the_job_that_is_named_also_after_a_restart() {
    let (_folder, store, blobs) = stores();
    let provider = signing([Act::Waiting("p-1"), Act::Waiting("p-2")]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let first = admit(&engine, &alice).await;
    at_its_provider(&engine, &alice, &first).await;
    let second = admit(&engine, &alice).await;
    at_its_provider(&engine, &alice, &second).await;
    engine.stop().await;

    let provider = signing([Act::Done("the second")]);
    let engine = Engine::start(&store, &blobs, &provider).await;
    let token = of_instance(&engine);
    let unknown = receive(&engine, &token, "1", r#"{"kind":"done","provider_id":"p-9"}"#).await;
    assert_eq!(unknown.expect("genuine"), Outcome::Unmatched);
    let nameless = receive(&engine, &token, "2", r#"{"kind":"done"}"#).await;
    assert_eq!(nameless.expect("genuine"), Outcome::Unmatched);
    let named = receive(&engine, &token, "3", r#"{"kind":"done","provider_id":"p-2"}"#).await;
    assert_eq!(named.expect("genuine"), Outcome::Accepted);
    assert_eq!(end_of(&engine, &alice, &second).await.state, JobState::Succeeded);
    assert_eq!(wakes(&provider), ["done"]);
    assert!(!engine.jobs.get(&alice, first.id).await.expect("it is there").state.is_final());
    let ended = receive(&engine, &token, "4", r#"{"kind":"done","provider_id":"p-2"}"#).await;
    assert_eq!(ended.expect("genuine"), Outcome::Unmatched, "a job that has ended is not looked for");
    engine.stop().await;
}

#[tokio::test]
async fn a_callback_that_overtakes_the_answer_to_its_submission_is_not_lost() {
    let (_folder, store, blobs) = stores();
    let provider = signing([Act::WaitingLater("p-1"), Act::Done("a cat")]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let job = admit(&engine, &alice).await;
    provider.submitted.notified().await;
    let token = token(&engine, &Target::Job(job.id));
    let early = receive(&engine, &token, "1", r#"{"kind":"done","provider_id":"p-1"}"#).await;
    assert_eq!(early.expect("genuine"), Outcome::Accepted);
    provider.released.notify_one();
    assert_eq!(end_of(&engine, &alice, &job).await.state, JobState::Succeeded);
    assert_eq!(wakes(&provider), ["done"], "it went on at once, and with the event");
    engine.stop().await;
}

#[tokio::test]
async fn a_callback_is_not_lost_when_its_sender_hangs_up_while_it_is_read() {
    let (_folder, store, blobs) = stores();
    let provider = signing([Act::Waiting("p-1"), Act::Done("a cat")]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let job = admit(&engine, &alice).await;
    at_its_provider(&engine, &alice, &job).await;
    let token = token(&engine, &Target::Job(job.id));
    provider.holds_callbacks.store(true, Ordering::Relaxed);
    let said = r#"{"kind":"done","provider_id":"p-1"}"#;
    {
        let mut receiving = std::pin::pin!(receive(&engine, &token, "1", said));
        tokio::select! {
            outcome = &mut receiving => panic!("{outcome:?}"),
            () = provider.reading.notified() => {}
        }
        // Its sender hangs up.
    }
    provider.released.notify_one();
    assert_eq!(end_of(&engine, &alice, &job).await.state, JobState::Succeeded);
    assert_eq!(wakes(&provider), ["done"], "it went on at once, and with the event");
    let again = receive(&engine, &token, "1", said).await;
    assert_eq!(again.expect("genuine"), Outcome::Replayed, "it was taken");
    engine.stop().await;
}

#[tokio::test]
async fn two_callbacks_of_a_provider_are_read_at_once_and_one_that_waits_too_long_is_to_be_sent_again() {
    let (_folder, store, blobs) = stores();
    let provider = signing([Act::Waiting("p-1")]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let job = admit(&engine, &alice).await;
    at_its_provider(&engine, &alice, &job).await;
    let token = token(&engine, &Target::Job(job.id));
    provider.holds_callbacks.store(true, Ordering::Relaxed);
    let said = r#"{"kind":"progress","provider_id":"p-1"}"#;
    let asked = ["1", "2", "3"].map(|id| Box::pin(receive(&engine, &token, id, said)));
    let (first, _, others) = futures::future::select_all(asked).await;
    let is_busy = matches!(first, Err(CallbackError::Service(ServiceError::CallbacksBusy)));
    assert!(is_busy, "the third, while two are read: {first:?}");
    provider.holds_callbacks.store(false, Ordering::Relaxed);
    provider.released.notify_waiters();
    for taken in futures::future::join_all(others).await {
        assert_eq!(taken.expect("genuine"), Outcome::Accepted);
    }
    assert_eq!(receive(&engine, &token, "4", said).await.expect("there is room again"), Outcome::Accepted);
    engine.stop().await;
}

#[tokio::test]
async fn an_unsigned_callback_only_advances_the_next_poll() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::Waiting("p-1"), Act::Done("a cat")]);
    *provider.signs_callbacks.lock().expect("no panic") = Some(false);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let job = admit(&engine, &alice).await;
    at_its_provider(&engine, &alice, &job).await;
    let token = token(&engine, &Target::Job(job.id));
    let poked = receive(&engine, &token, "1", "whatever it says").await;
    assert_eq!(poked.expect("taken"), Outcome::Accepted);
    assert_eq!(end_of(&engine, &alice, &job).await.state, JobState::Succeeded);
    assert_eq!(wakes(&provider), ["timer"], "what it said was thrown away");
    engine.stop().await;
}

#[tokio::test]
async fn nobody_is_called_back_where_nothing_can_be_checked_and_one_address_is_not_called_without_end() {
    let (_folder, store, blobs) = stores();
    let provider = Scripted::new([Act::Waiting("p-1")]);
    let (engine, alice) = (Engine::start(&store, &blobs, &provider).await, caller());
    let job = admit(&engine, &alice).await;
    at_its_provider(&engine, &alice, &job).await;
    assert_eq!(provider.seen.lock().expect("no panic").callback_urls, [None]);
    let token = token(&engine, &Target::Job(job.id));
    for _ in 0..5 {
        let refused = receive(&engine, &token, "1", "{}").await;
        assert!(matches!(refused, Err(CallbackError::Refused)), "{refused:?}");
    }
    let limited = receive(&engine, &token, "1", "{}").await;
    assert!(matches!(limited, Err(CallbackError::Service(ServiceError::RateLimited(_)))), "{limited:?}");
    let nowhere = receive(&engine, "nowhere", "1", "{}").await;
    assert!(matches!(nowhere, Err(CallbackError::Refused)), "{nowhere:?}");
    engine.stop().await;
}
