use super::*;

fn endpoint() -> WebhookEndpoint {
    let secret = SigningSecret::generate().expect("randomness");
    WebhookEndpoint {
        id: EndpointId::new(),
        owner: UserId::new(),
        url: "https://example.com/".to_owned(),
        description: String::new(),
        events: vec![EventKind::Succeeded],
        created: Timestamp(0),
        secrets: vec![EndpointSecret { secret, expires: None }],
        disabled: None,
        failing_since: None,
    }
}

fn attempt(at: Timestamp, status: u16) -> Attempt {
    Attempt { at, duration_ms: 1, status: Some(status), error: None, excerpt: None }
}

#[test]
fn an_old_secret_signs_beside_the_new_one_until_its_time_is_over() {
    let mut endpoint = endpoint();
    let old = endpoint.secrets[0].secret.clone();
    let new = SigningSecret::generate().expect("randomness");
    let day = Duration::from_secs(86_400);
    endpoint.rotate(new.clone(), Timestamp(1_000), day);
    let signing = |at: u64| endpoint.signing(Timestamp(at)).cloned().collect::<Vec<_>>();
    assert_eq!(signing(1_000), [new.clone(), old.clone()]);
    assert_eq!(signing(1_000 + 86_400_000 - 1), [new.clone(), old]);
    assert_eq!(signing(1_000 + 86_400_000), [new]);
}

#[test]
fn however_often_it_is_rotated_few_secrets_sign() {
    let mut endpoint = endpoint();
    for at in 0..10 {
        let secret = SigningSecret::generate().expect("randomness");
        endpoint.rotate(secret, Timestamp(at), Duration::from_secs(60));
        assert!(endpoint.secrets.len() <= SECRETS_MAX);
        assert_eq!(endpoint.secrets.iter().filter(|held| held.expires.is_none()).count(), 1);
    }
    endpoint.rotate(SigningSecret::generate().expect("randomness"), Timestamp(10), Duration::ZERO);
    assert_eq!(endpoint.secrets.len(), 1, "without an overlap the old ones sign no more");
}

#[test]
fn an_endpoint_is_disabled_after_days_of_failures_alone_and_at_once_when_it_says_that_it_is_gone() {
    let mut failing = endpoint();
    let begin = Timestamp(5);
    failing.note(&attempt(begin, 500));
    failing.note(&attempt(Timestamp(begin.plus(FAILING_MAX).0 - 1), 500));
    assert!(failing.wants(EventKind::Succeeded));
    let mut recovered = failing.clone();
    recovered.note(&attempt(Timestamp(begin.plus(FAILING_MAX).0 - 1), 204));
    recovered.note(&attempt(begin.plus(FAILING_MAX), 500));
    assert_eq!(recovered.disabled, None, "one success begins the count anew");
    failing.note(&attempt(begin.plus(FAILING_MAX), 500));
    assert_eq!(failing.disabled.map(|disabled| disabled.reason), Some(DisabledReason::Failing));
    assert!(!failing.wants(EventKind::Succeeded));

    let mut gone = endpoint();
    gone.note(&attempt(begin, 410));
    assert_eq!(gone.disabled, Some(Disabled { since: begin, reason: DisabledReason::Gone }));
}

#[test]
fn a_delivery_keeps_its_newest_attempts_alone() {
    let mut delivery =
        Delivery::new(&endpoint(), Message::Test { id: MessageId::new(), time: Timestamp(1) }, Timestamp(1));
    for at in 0..40 {
        delivery.note(attempt(Timestamp(at), 500), Some(Timestamp(at + 1)));
        assert_eq!((delivery.state, delivery.next_at), (DeliveryState::Pending, Timestamp(at + 1)));
    }
    assert_eq!((delivery.attempts.len(), delivery.tries), (ATTEMPTS_KEPT, 40));
    assert_eq!(delivery.attempts.last().map(|attempt| attempt.at), Some(Timestamp(39)));
    delivery.note(attempt(Timestamp(40), 200), None);
    assert_eq!(delivery.state, DeliveryState::Succeeded);
}

#[test]
fn what_is_sent_again_by_hand_during_an_attempt_is_due_then_whatever_became_of_the_attempt() {
    let message = Message::Test { id: MessageId::new(), time: Timestamp(1) };
    let delivery = Delivery::new(&endpoint(), message, Timestamp(1));
    for retry_at in [Some(Timestamp(99)), None] {
        let mut again = Delivery { next_at: Timestamp(7), ..delivery.clone() };
        again.note(attempt(Timestamp(5), 500), retry_at);
        assert_eq!((again.state, again.next_at), (DeliveryState::Pending, Timestamp(7)));
    }
}
