//! Outgoing webhooks, on the real store and with receivers that do what a test says.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use atelier_domain::account::{Role, User};
use atelier_domain::event::EventKind;
use atelier_domain::id::DeliveryId;
use atelier_domain::job::{Job, JobState};
use atelier_domain::store::{AccountStore as _, DeliveryKey, JobStore as _};
use atelier_domain::time::{Clock as _, Timestamp};
use atelier_domain::webhook::{DeliveryState, DisabledReason, Message, SigningSecret};
use atelier_service::ServiceError;
use atelier_service::webhooks::{EndpointChange, NewEndpoint, Outcome, WebhookLimits};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::jobs::{caller, stores};
use crate::sending::{Sending, Sent, counted};

/// Whether a message is signed by a secret, as a receiver finds out.
fn is_signed_by(sent: &Sent, secret: &SigningSecret) -> bool {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret.key());
    let head = format!("{}.{}.", sent.headers["webhook-id"], sent.headers["webhook-timestamp"]);
    let text = [head.as_bytes(), &sent.body].concat();
    sent.headers["webhook-signature"].split(' ').any(|each| {
        let signature = STANDARD.decode(each.strip_prefix("v1,").expect("version 1")).expect("base64");
        ring::hmac::verify(&key, &text, &signature).is_ok()
    })
}

#[tokio::test]
async fn a_message_is_signed_and_after_a_rotation_by_both_secrets_until_the_old_one_is_over() {
    let (_folder, store, _) = stores();
    let (sending, alice) = (Sending::start(&store, WebhookLimits::default()), caller());
    let url = "https://example.com/204";
    let made = sending.endpoint(&alice, url).await;
    let (id, old) = (made.endpoint.endpoint.id, made.secret.clone());
    let job = sending.happen(&alice);
    let delivery = sending.settled(&alice, id).await;
    assert_eq!(delivery.state, DeliveryState::Succeeded);
    let attempt = &delivery.attempts[0];
    assert_eq!((attempt.status, attempt.error.as_deref()), (Some(204), None));
    assert_eq!(attempt.excerpt.as_ref().map(String::len), Some(256), "little is kept of the answer");
    let sent = sending.receiver.of(url).remove(0);
    assert_eq!(sent.headers["webhook-id"], format!("msg_{}", delivery.message.id().simple()));
    assert_eq!(sent.headers["webhook-timestamp"], sending.clock.now().unix_seconds().to_string());
    assert!(is_signed_by(&sent, &old));
    let Message::Event(event) = &delivery.message else { panic!("{delivery:?}") };
    assert_eq!((event.job.id, event.kind), (job.id, EventKind::Queued));

    let rotated = sending.webhooks.rotate(&alice, id, Duration::from_secs(3600)).await.expect("rotated");
    let expectations = [(0, true), (3599, true), (1, false)];
    for (number, (pause, by_old)) in expectations.into_iter().enumerate() {
        sending.clock.pass_seconds(pause);
        let sent = sending.webhooks.test(&alice, id).await.expect("sent");
        sending.until(&alice, id, |each| each.id == sent.id && each.state == DeliveryState::Succeeded).await;
        let sent = sending.receiver.of(url).remove(number + 1);
        assert!(is_signed_by(&sent, &rotated.secret));
        assert_eq!(is_signed_by(&sent, &old), by_old);
    }
    let shown = format!("{:?} {:?}", sending.webhooks.get(&alice, id).await.expect("there"), rotated);
    assert!(!shown.contains(old.reveal()) && !shown.contains(rotated.secret.reveal()));
    sending.stop().await;
}

#[tokio::test]
async fn what_is_not_taken_is_tried_for_about_three_days_then_given_up_and_can_be_sent_again() {
    let (_folder, store, _) = stores();
    let (sending, alice) = (Sending::start(&store, WebhookLimits::default()), caller());
    let url = "https://example.com/500";
    let id = sending.endpoint(&alice, url).await.endpoint.endpoint.id;
    sending.happen(&alice);
    let began = sending.clock.now();
    for tries in 1..12 {
        let tried = sending.until(&alice, id, |delivery| delivery.tries == tries).await;
        assert_eq!(tried.state, DeliveryState::Pending);
        assert_eq!(sending.receiver.of(url).len(), tries as usize, "not before its time");
        let wait = tried.next_at.0 - sending.clock.now().0;
        sending.pass(wait.div_ceil(1000));
    }
    let given_up = sending.settled(&alice, id).await;
    assert_eq!((given_up.state, given_up.tries), (DeliveryState::Failed, 12));
    let hours = (sending.clock.now().0 - began.0) / 3_600_000;
    assert!((56..=88).contains(&hours), "{hours} hours");
    let counts = sending.webhooks.counts();
    counted(|| counts.of(Outcome::GivenUp) == 1).await;
    assert_eq!(counts.of(Outcome::Retried), 11);
    let ids: Vec<String> =
        sending.receiver.of(url).iter().map(|sent| sent.headers["webhook-id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "a receiver knows it when it comes again");

    let script = HashMap::from([(url.to_owned(), VecDeque::from([200]))]);
    *sending.receiver.scripts.lock().expect("no panic") = script;
    let key = DeliveryKey { endpoint: id, id: given_up.id };
    let unknown = DeliveryKey { endpoint: id, id: DeliveryId::new() };
    assert!(sending.webhooks.send_again(&alice, unknown).await.is_err());
    sending.webhooks.send_again(&alice, key).await.expect("sent");
    let again = sending.until(&alice, id, |delivery| delivery.state == DeliveryState::Succeeded).await;
    assert_eq!(again.attempts.len(), 13);
    assert_eq!(sending.receiver.of(url).last().expect("sent").headers["webhook-id"], ids[0]);
    assert!(sending.webhooks.get(&alice, id).await.expect("there").endpoint.failing_since.is_none());
    sending.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_asks_for_time_is_given_it_and_every_message_names_its_request() {
    let (_folder, store, _) = stores();
    let (sending, alice) = (Sending::start(&store, WebhookLimits::default()), caller());
    let url = "https://example.com/503";
    let told = HashMap::from([(url.to_owned(), Duration::from_secs(3600))]);
    *sending.receiver.retry_after.lock().expect("no panic") = told;
    let id = sending.endpoint(&alice, url).await.endpoint.endpoint.id;
    sending.happen(&alice);
    let tried = sending.until(&alice, id, |delivery| delivery.tries == 1).await;
    let pause = tried.next_at.0 - sending.clock.now().0;
    assert!((3_600_000..=3_601_000).contains(&pause), "{pause} ms, where five seconds are usual");
    assert_eq!(sending.receiver.of(url)[0].headers["x-request-id"], "req_of_test");
    sending.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_keeps_no_other_waiting_and_is_left_in_time() {
    let (_folder, store, _) = stores();
    let limits = WebhookLimits {
        concurrent: 6,
        concurrent_per_endpoint: 2,
        attempt_max: Duration::from_millis(400),
        ..WebhookLimits::default()
    };
    let (sending, alice, bob) = (Sending::start(&store, limits), caller(), caller());
    let slow = sending.endpoint(&alice, "https://example.com/hang").await.endpoint.endpoint.id;
    let good = sending.endpoint(&bob, "https://example.com/200").await.endpoint.endpoint.id;
    for _ in 0..20 {
        sending.happen(&alice);
    }
    sending.happen(&bob);
    assert_eq!(sending.settled(&bob, good).await.state, DeliveryState::Succeeded);
    assert!(sending.receiver.of("https://example.com/hang").len() <= 2, "its share of workers and no more");
    let left = sending.until(&alice, slow, |delivery| !delivery.attempts.is_empty()).await;
    assert_eq!(left.attempts[0].error.as_deref(), Some("timeout"));
    assert_eq!(left.state, DeliveryState::Pending);
    sending.stop().await;
}

#[tokio::test]
async fn a_user_with_many_endpoints_that_do_not_answer_keeps_no_other_waiting() {
    let (_folder, store, _) = stores();
    let limits = WebhookLimits { concurrent: 6, concurrent_per_user: 4, ..WebhookLimits::default() };
    let (sending, alice, bob) = (Sending::start(&store, limits), caller(), caller());
    let slow = "https://example.com/hang";
    for _ in 0..8 {
        sending.endpoint(&alice, slow).await;
    }
    sending.happen(&alice);
    // All that she may have is taken, by endpoints each within its own share.
    counted(|| sending.receiver.of(slow).len() == 4).await;
    let good = sending.endpoint(&bob, "https://example.com/200").await.endpoint.endpoint.id;
    sending.happen(&bob);
    assert_eq!(sending.settled(&bob, good).await.state, DeliveryState::Succeeded);
    assert_eq!(sending.receiver.of(slow).len(), 4, "her share of workers and no more");
    sending.stop().await;
}

#[tokio::test]
async fn one_sweep_removes_all_old_deliveries_however_many_there_are() {
    let (_folder, store, _) = stores();
    let (sending, alice) = (Sending::start(&store, WebhookLimits::default()), caller());
    let id = sending.endpoint(&alice, "https://example.com/200").await.endpoint.endpoint.id;
    for _ in 0..11 {
        sending.happen(&alice);
    }
    counted(|| sending.webhooks.counts().of(Outcome::Delivered) == 11).await;
    sending.stop().await;
    // The next sweep after the first comes in a minute.
    let limits = WebhookLimits { kept_for: Duration::ZERO, swept_at_once: 4, ..WebhookLimits::default() };
    let sweeping = Sending::start(&store, limits);
    let sweep = async {
        while !sweeping.deliveries(&alice, id).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), sweep).await.expect("in one sweep");
    sweeping.stop().await;
}

#[tokio::test]
async fn a_message_is_sent_again_by_the_next_start_if_its_attempt_was_not_recorded() {
    let (_folder, store, _) = stores();
    let (first, alice) = (Sending::start(&store, WebhookLimits::default()), caller());
    let url = "https://example.com/hang";
    let id = first.endpoint(&alice, url).await.endpoint.endpoint.id;
    first.happen(&alice);
    counted(|| !first.receiver.of(url).is_empty()).await;
    let change =
        EndpointChange { url: Some("https://example.com/200".to_owned()), ..EndpointChange::default() };
    first.webhooks.change(&alice, id, change).await.expect("changed");
    // It hangs in its attempt, as a killed process would be in one.
    first.stop().await;
    let second = Sending::start(&store, WebhookLimits::default());
    assert_eq!(second.settled(&alice, id).await.state, DeliveryState::Succeeded);
    second.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_told_nothing_until_it_is_enabled() {
    let (_folder, store, _) = stores();
    let (sending, alice) = (Sending::start(&store, WebhookLimits::default()), caller());
    let url = "https://example.com/410";
    let id = sending.endpoint(&alice, url).await.endpoint.endpoint.id;
    let first = sending.happen(&alice);
    let refused = sending.settled(&alice, id).await;
    assert_eq!(
        (refused.state, refused.tries),
        (DeliveryState::Failed, 1),
        "there is nobody to try again for"
    );
    let endpoint = sending.webhooks.get(&alice, id).await.expect("there").endpoint;
    assert_eq!(endpoint.disabled.map(|disabled| disabled.reason), Some(DisabledReason::Gone));
    counted(|| sending.webhooks.counts().disabled() == 1).await;
    let finish = |job: &mut Job| {
        job.state = JobState::Canceled;
        true
    };
    store.change_job(first.id, &finish).expect("changed");
    assert_eq!(sending.deliveries(&alice, id).await.len(), 1);
    let key = DeliveryKey { endpoint: id, id: refused.id };
    for refused in [sending.webhooks.test(&alice, id).await, sending.webhooks.send_again(&alice, key).await] {
        assert!(matches!(refused, Err(ServiceError::Invalid { .. })), "{refused:?}");
    }
    let enable = EndpointChange { is_enabled: Some(true), ..EndpointChange::default() };
    let enabled = sending.webhooks.change(&alice, id, enable).await.expect("changed").endpoint;
    assert_eq!((enabled.disabled, enabled.failing_since), (None, None));
    sending.happen(&alice);
    assert_eq!(sending.deliveries(&alice, id).await.len(), 2);
    sending.stop().await;
}

#[tokio::test]
async fn what_waits_for_an_endpoint_that_is_disabled_or_removed_is_not_sent() {
    let (_folder, store, _) = stores();
    let alice = caller();
    let waiting = Sending::start(&store, WebhookLimits::default());
    let url = "https://example.com/500";
    let disabled = waiting.endpoint(&alice, url).await.endpoint.endpoint.id;
    waiting.happen(&alice);
    waiting.until(&alice, disabled, |delivery| delivery.tries == 1).await;
    let disable = EndpointChange { is_enabled: Some(false), ..EndpointChange::default() };
    waiting.webhooks.change(&alice, disabled, disable).await.expect("changed");
    waiting.pass(10);
    let withheld = waiting.settled(&alice, disabled).await;
    assert_eq!(withheld.attempts[1].error.as_deref(), Some("endpoint_disabled"));

    let removed = waiting.endpoint(&alice, url).await.endpoint.endpoint.id;
    waiting.happen(&alice);
    waiting.until(&alice, removed, |delivery| delivery.tries == 1).await;
    let sent = waiting.receiver.of(url).len();
    waiting.webhooks.remove(&alice, removed).await.expect("removed");
    waiting.pass(10);
    counted(|| waiting.webhooks.counts().of(Outcome::Withheld) == 2).await;
    assert_eq!(waiting.receiver.of(url).len(), sent);
    waiting.stop().await;
}

#[tokio::test]
async fn another_users_endpoint_is_none_whatever_is_done_with_it() {
    let (_folder, store, _) = stores();
    let (sending, alice, bob) = (Sending::start(&store, WebhookLimits::default()), caller(), caller());
    let id = sending.endpoint(&alice, "https://example.com/200").await.endpoint.endpoint.id;
    sending.happen(&alice);
    let delivery = sending.settled(&alice, id).await;
    let webhooks = &sending.webhooks;
    let key = DeliveryKey { endpoint: id, id: delivery.id };
    let outcomes = [
        webhooks.get(&bob, id).await.err(),
        webhooks.change(&bob, id, EndpointChange::default()).await.err(),
        webhooks.rotate(&bob, id, Duration::ZERO).await.err(),
        webhooks.test(&bob, id).await.err(),
        webhooks.deliveries(&bob, id, None, 10).await.err(),
        webhooks.send_again(&bob, key).await.err(),
        webhooks.remove(&bob, id).await.err(),
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        assert!(matches!(outcome, Some(ServiceError::NotFound { .. })), "{number}: {outcome:?}");
    }
    assert!(webhooks.list(&bob).await.expect("listed").is_empty());
    assert_eq!(webhooks.list(&alice).await.expect("listed").len(), 1);
    sending.stop().await;
}

#[tokio::test]
async fn endpoints_are_bounded_in_number_and_in_what_they_say() {
    let (_folder, store, _) = stores();
    let limits = WebhookLimits { endpoints_per_user: 2, ..WebhookLimits::default() };
    let (sending, alice) = (Sending::start(&store, limits), caller());
    let good = || NewEndpoint {
        url: "https://example.com/200".to_owned(),
        description: "é".repeat(200),
        events: vec![EventKind::Failed, EventKind::Failed],
    };
    for (param, wanted) in [
        ("url", NewEndpoint { url: "http://example.com/".to_owned(), ..good() }),
        ("url", NewEndpoint { url: format!("https://example.com/{}", "x".repeat(2048)), ..good() }),
        ("description", NewEndpoint { description: "é".repeat(201), ..good() }),
        ("description", NewEndpoint { description: "two\nlines".to_owned(), ..good() }),
        ("events", NewEndpoint { events: Vec::new(), ..good() }),
    ] {
        let refused = sending.webhooks.create(&alice, wanted).await;
        assert!(
            matches!(&refused, Err(ServiceError::Invalid { param: at, .. }) if at == param),
            "{refused:?}"
        );
    }
    let made = sending.webhooks.create(&alice, good()).await.expect("made").endpoint.endpoint;
    assert_eq!(made.events, [EventKind::Failed], "each kind once");
    let overlap = sending.webhooks.rotate(&alice, made.id, Duration::from_secs(8 * 86_400)).await;
    assert!(matches!(overlap, Err(ServiceError::Invalid { .. })), "{overlap:?}");
    sending.webhooks.create(&alice, good()).await.expect("made");
    let third = sending.webhooks.create(&alice, good()).await;
    assert!(matches!(third, Err(ServiceError::TooMany { max: 2, .. })), "{third:?}");
    let until: Timestamp = sending.clock.now();
    assert_eq!(made.created, until);
    sending.stop().await;
}

#[tokio::test]
async fn a_disabled_user_s_endpoint_is_told_nothing() {
    let (_folder, store, _) = stores();
    let (sending, alice) = (Sending::start(&store, WebhookLimits::default()), caller());
    let row = User {
        id: alice.user(),
        name: "alice".to_owned(),
        role: Role::User,
        created: Timestamp(0),
        disabled: true,
        verified: None,
    };
    store.create_user(&row).expect("created");
    let url = "https://example.com/200";
    let id = sending.endpoint(&alice, url).await.endpoint.endpoint.id;
    sending.happen(&alice);
    let withheld = sending.settled(&alice, id).await;
    assert_eq!(withheld.state, DeliveryState::Failed);
    assert_eq!(withheld.attempts[0].error.as_deref(), Some("owner_disabled"));
    assert!(sending.receiver.of(url).is_empty());
    sending.stop().await;
}
