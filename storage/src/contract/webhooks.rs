//! The contract of [`EndpointStore`] and [`DeliveryStore`].

use std::collections::HashSet;

use atelier_domain::event::EventKind;
use atelier_domain::id::{DeliveryId, EndpointId, MessageId, UserId};
use atelier_domain::job::{Job, JobState};
use atelier_domain::store::{DeliveryKey, DeliveryStore, EndpointStore, JobStore, StoreError, SweepPage};
use atelier_domain::time::Timestamp;
use atelier_domain::webhook::{
    Attempt, Delivery, DeliveryState, DisabledReason, FAILING_MAX, Message, PENDING_PER_ENDPOINT_MAX,
    WebhookEndpoint,
};

use super::sample;

/// What a store of webhooks is.
pub trait Stores: JobStore + EndpointStore + DeliveryStore {}
impl<S: JobStore + EndpointStore + DeliveryStore> Stores for S {}

fn endpoint(store: &dyn Stores, owner: UserId, events: &[EventKind]) -> WebhookEndpoint {
    let endpoint =
        WebhookEndpoint { events: events.to_vec(), failing_since: None, ..sample::endpoint(owner) };
    assert!(store.create_endpoint(&endpoint, usize::MAX).expect("created"));
    endpoint
}

fn job(store: &dyn Stores, owner: UserId, states: &[JobState]) {
    let job = Job { state: JobState::Queued, ..sample::job(owner) };
    store.create_job(&(&job).into()).expect("created");
    for state in states {
        let change = |job: &mut Job| {
            job.state = *state;
            true
        };
        store.change_job(job.id, &change).expect("changed");
    }
}

fn test(endpoint: &WebhookEndpoint, made: Timestamp) -> Delivery {
    Delivery::new(endpoint, Message::Test { id: MessageId::new(), time: made }, made)
}

fn key(delivery: &Delivery) -> DeliveryKey {
    DeliveryKey { endpoint: delivery.endpoint, id: delivery.id }
}

fn attempt(at: Timestamp, status: u16) -> Attempt {
    Attempt { at, duration_ms: 3, status: Some(status), error: None, excerpt: Some("text".to_owned()) }
}

fn listed(store: &dyn Stores, endpoint: &WebhookEndpoint) -> Vec<Delivery> {
    store.deliveries(endpoint.owner, endpoint.id, None, usize::MAX).expect("read")
}

fn due(store: &dyn Stores, now: Timestamp) -> Vec<DeliveryKey> {
    let page = store.due_deliveries(None, now, usize::MAX, usize::MAX).expect("read");
    page.due.iter().map(|due| due.key).collect()
}

const EVER: Timestamp = Timestamp(u64::MAX);

pub fn endpoints_are_their_owners_alone(store: &dyn Stores) {
    let (alice, bob) = (UserId::new(), UserId::new());
    let made: Vec<_> = (0..3).map(|_| endpoint(store, alice, &EventKind::ALL)).collect();
    assert_eq!(store.endpoints(alice).expect("read"), made);
    assert_eq!(store.endpoint(alice, made[1].id).expect("read").as_ref(), Some(&made[1]));
    assert_eq!(store.endpoint(bob, made[1].id).expect("read"), None);
    assert_eq!(store.change_endpoint(bob, made[1].id, &|_| ()).expect("answered"), None);
    assert!(!store.remove_endpoint(bob, made[1].id).expect("answered"));
    assert!(store.endpoints(bob).expect("read").is_empty());
    assert!(store.remove_endpoint(alice, made[1].id).expect("removed"));
    assert!(!store.remove_endpoint(alice, made[1].id).expect("answered"));
    assert_eq!(store.endpoints(alice).expect("read"), [made[0].clone(), made[2].clone()]);
    let again = store.create_endpoint(&made[0], usize::MAX);
    assert!(matches!(again, Err(StoreError::Exists { .. })));
}

pub fn an_owner_has_so_many_endpoints_and_no_more(store: &dyn Stores) {
    let owner = UserId::new();
    let made = |count| {
        let each = || store.create_endpoint(&sample::endpoint(owner), 4).expect("answered");
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..count).map(|_| scope.spawn(each)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).filter(|made| *made).count()
        })
    };
    assert_eq!(made(8), 4);
    assert_eq!(store.endpoints(owner).expect("read").len(), 4);
}

pub fn a_changed_endpoint_keeps_its_id_and_owner(store: &dyn Stores) {
    let made = endpoint(store, UserId::new(), &EventKind::ALL);
    let change = |endpoint: &mut WebhookEndpoint| {
        endpoint.description = "other".to_owned();
        endpoint.id = EndpointId::from_bytes([1; 16]);
        endpoint.owner = UserId::from_bytes([1; 16]);
    };
    let changed = store.change_endpoint(made.owner, made.id, &change).expect("changed").expect("there");
    assert_eq!(changed, WebhookEndpoint { description: "other".to_owned(), ..made.clone() });
    assert_eq!(store.endpoint(made.owner, made.id).expect("read"), Some(changed));
}

pub fn each_endpoint_that_wants_an_event_gets_a_delivery_with_it(store: &dyn Stores) {
    let (alice, bob) = (UserId::new(), UserId::new());
    let finals = endpoint(store, alice, &[EventKind::Succeeded, EventKind::Failed]);
    let every = endpoint(store, alice, &EventKind::ALL);
    let disabled = endpoint(store, alice, &EventKind::ALL);
    let disable = |endpoint: &mut WebhookEndpoint| {
        endpoint.disabled =
            Some(atelier_domain::webhook::Disabled { since: Timestamp(1), reason: DisabledReason::Owner });
    };
    store.change_endpoint(alice, disabled.id, &disable).expect("changed");
    let others = endpoint(store, bob, &EventKind::ALL);
    job(store, alice, &[JobState::Processing, JobState::Succeeded]);
    let kinds = |endpoint| {
        let mut kinds: Vec<_> = listed(store, endpoint).iter().map(|each| each.message.kind()).collect();
        kinds.sort_unstable();
        kinds
    };
    assert_eq!(kinds(&finals), ["generation.succeeded"]);
    assert_eq!(kinds(&every), ["generation.processing", "generation.queued", "generation.succeeded"]);
    assert!(listed(store, &disabled).is_empty() && listed(store, &others).is_empty());
    let ids: HashSet<_> = listed(store, &every).iter().map(|delivery| delivery.message.id()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.contains(&listed(store, &finals)[0].message.id()), "one event is one message");
    assert_eq!(store.endpoint_queue(every.id).expect("read").pending, 3);
    assert_eq!(due(store, EVER).len(), 4);
    assert!(store.deliveries(bob, every.id, None, 10).expect("read").is_empty(), "another's are none");
}

pub fn deliveries_are_listed_newest_first_in_pages(store: &dyn Stores) {
    let owner = UserId::new();
    let endpoint = endpoint(store, owner, &[]);
    let mut made: Vec<Delivery> = (1..=25).map(|at| test(&endpoint, Timestamp(at))).collect();
    for delivery in &made {
        assert!(store.create_delivery(delivery).expect("created"));
        assert_eq!(store.delivery(key(delivery)).expect("read").as_ref(), Some(delivery));
    }
    assert!(matches!(store.create_delivery(&made[0]), Err(StoreError::Exists { .. })));
    made.reverse();
    let mut seen: Vec<Delivery> = Vec::new();
    loop {
        let before = seen.last().map(|delivery| delivery.id);
        let page = store.deliveries(owner, endpoint.id, before, 10).expect("read");
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, made);
    let stranger = Delivery { owner: UserId::new(), ..test(&endpoint, Timestamp(99)) };
    assert!(!store.create_delivery(&stranger).expect("answered"), "it is not their endpoint");
}

pub fn a_failed_delivery_is_due_again_when_it_is_to_be_and_a_taken_one_never(store: &dyn Stores) {
    let endpoint = endpoint(store, UserId::new(), &[]);
    let delivery = test(&endpoint, Timestamp(10));
    store.create_delivery(&delivery).expect("created");
    assert!(due(store, Timestamp(9)).is_empty());
    assert_eq!(due(store, Timestamp(10)), [key(&delivery)]);
    let after = store.record_attempt(key(&delivery), &attempt(Timestamp(11), 500), Some(Timestamp(100)));
    let after = after.expect("recorded").expect("pending");
    assert_eq!((after.delivery.state, after.delivery.tries), (DeliveryState::Pending, 1));
    assert_eq!(after.endpoint.expect("there").failing_since, Some(Timestamp(11)));
    assert!(due(store, Timestamp(99)).is_empty());
    let waiting = store.due_deliveries(None, Timestamp(99), 10, 10).expect("read");
    assert_eq!(waiting.next_at, Some(Timestamp(100)));
    assert_eq!(due(store, Timestamp(100)), [key(&delivery)]);
    assert_eq!(store.oldest_pending().expect("read"), Some(Timestamp(10)));
    let after = store.record_attempt(key(&delivery), &attempt(Timestamp(101), 204), Some(Timestamp(200)));
    let after = after.expect("recorded").expect("pending");
    assert_eq!((after.delivery.state, after.delivery.attempts.len()), (DeliveryState::Succeeded, 2));
    assert_eq!(after.endpoint.expect("there").failing_since, None);
    assert!(due(store, EVER).is_empty());
    assert_eq!(store.endpoint_queue(endpoint.id).expect("read").pending, 0);
    assert_eq!(store.oldest_pending().expect("read"), None);
    let late = store.record_attempt(key(&delivery), &attempt(Timestamp(102), 500), None);
    assert_eq!(late.expect("answered"), None, "it is pending no more");
    assert_eq!(store.delivery(key(&delivery)).expect("read"), Some(after.delivery));
}

pub fn a_delivery_that_was_given_up_is_sent_again_by_its_owner_alone(store: &dyn Stores) {
    let owner = UserId::new();
    let endpoint = endpoint(store, owner, &[]);
    let delivery = test(&endpoint, Timestamp(10));
    store.create_delivery(&delivery).expect("created");
    let after = store.record_attempt(key(&delivery), &attempt(Timestamp(11), 500), None);
    assert_eq!(after.expect("recorded").expect("pending").delivery.state, DeliveryState::Failed);
    assert!(due(store, EVER).is_empty());
    let other = store.send_again(UserId::new(), key(&delivery), Timestamp(50)).expect("answered");
    assert_eq!(other, None);
    let unknown = DeliveryKey { endpoint: endpoint.id, id: DeliveryId::new() };
    assert_eq!(store.send_again(owner, unknown, Timestamp(50)).expect("answered"), None);
    for at in [50, 60] {
        let again = store.send_again(owner, key(&delivery), Timestamp(at)).expect("changed").expect("there");
        assert_eq!((again.state, again.tries, again.attempts.len()), (DeliveryState::Pending, 0, 1));
        assert_eq!(again.message, delivery.message);
        assert_eq!(due(store, EVER), [key(&delivery)], "once, however often it is asked for");
        assert_eq!(store.endpoint_queue(endpoint.id).expect("read").pending, 1);
    }
    assert!(due(store, Timestamp(59)).is_empty());
}

pub fn no_endpoint_hides_what_is_due_for_others(store: &dyn Stores) {
    let owner = UserId::new();
    let mut endpoints: Vec<_> = (0..5).map(|_| endpoint(store, owner, &[])).collect();
    endpoints.sort_by_key(|endpoint| *endpoint.id.as_bytes());
    for endpoint in &endpoints {
        for at in 1..=4 {
            store.create_delivery(&test(endpoint, Timestamp(at))).expect("created");
        }
    }
    let (mut from, mut seen) = (None, Vec::new());
    loop {
        let page = store.due_deliveries(from, Timestamp(2), 2, 3).expect("read");
        assert!(page.due.iter().all(|due| due.owner == Some(owner)));
        seen.extend(page.due.iter().map(|due| (due.key.endpoint, due.key.id.made().0)));
        assert_eq!(page.next_at, Some(Timestamp(3)));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    let expected: Vec<_> =
        endpoints.iter().flat_map(|endpoint| [(endpoint.id, 1), (endpoint.id, 2)]).collect();
    assert_eq!(seen, expected);
}

pub fn no_more_than_so_much_waits_for_one_endpoint_and_the_rest_is_counted(store: &dyn Stores) {
    const BEYOND: u32 = 12;
    let owner = UserId::new();
    let (endpoint, free) = (endpoint(store, owner, &[]), endpoint(store, owner, &[EventKind::Queued]));
    let threads = 8;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let endpoint = &endpoint;
            scope.spawn(move || {
                for number in (thread..PENDING_PER_ENDPOINT_MAX + BEYOND).step_by(threads as usize) {
                    store.create_delivery(&test(endpoint, Timestamp(u64::from(number)))).expect("answered");
                }
            });
        }
    });
    let queue = store.endpoint_queue(endpoint.id).expect("read");
    assert_eq!((queue.pending, queue.dropped), (PENDING_PER_ENDPOINT_MAX, u64::from(BEYOND)));
    assert_eq!(listed(store, &endpoint).len(), PENDING_PER_ENDPOINT_MAX as usize);
    job(store, owner, &[]);
    assert_eq!(listed(store, &free).len(), 1, "another endpoint is not hindered");
}

pub fn an_endpoint_that_fails_for_days_is_disabled_with_the_attempt_that_shows_it(store: &dyn Stores) {
    let owner = UserId::new();
    let endpoint = endpoint(store, owner, &[EventKind::Queued]);
    let delivery = test(&endpoint, Timestamp(10));
    store.create_delivery(&delivery).expect("created");
    let fail = |at: Timestamp| {
        let after = store.record_attempt(key(&delivery), &attempt(at, 503), Some(at)).expect("recorded");
        after.expect("pending").endpoint.expect("there").disabled.map(|disabled| disabled.reason)
    };
    assert_eq!(fail(Timestamp(10)), None);
    assert_eq!(fail(Timestamp(10).plus(FAILING_MAX)), Some(DisabledReason::Failing));
    job(store, owner, &[]);
    assert_eq!(listed(store, &endpoint), [store.delivery(key(&delivery)).expect("read").expect("there")]);
}

pub fn what_waits_for_a_removed_endpoint_can_be_given_up(store: &dyn Stores) {
    let owner = UserId::new();
    let endpoint = endpoint(store, owner, &[]);
    let delivery = test(&endpoint, Timestamp(10));
    store.create_delivery(&delivery).expect("created");
    assert!(store.remove_endpoint(owner, endpoint.id).expect("removed"));
    let after = store.record_attempt(key(&delivery), &attempt(Timestamp(11), 500), None);
    let after = after.expect("recorded").expect("pending");
    assert_eq!((after.delivery.state, after.endpoint), (DeliveryState::Failed, None));
    assert!(due(store, EVER).is_empty());
    assert_eq!(store.endpoint_queue(endpoint.id).expect("read").pending, 0);
    assert!(!store.create_delivery(&test(&endpoint, Timestamp(12))).expect("answered"));
}

pub fn old_deliveries_are_swept_the_oldest_first_and_leave_nothing(store: &dyn Stores) {
    let owner = UserId::new();
    let endpoint = endpoint(store, owner, &[]);
    let made: Vec<Delivery> = (1..=300).map(|at| test(&endpoint, Timestamp(at))).collect();
    for delivery in &made {
        store.create_delivery(delivery).expect("created");
    }
    store.record_attempt(key(&made[0]), &attempt(Timestamp(400), 200), None).expect("recorded");
    let sweep = |before, after, limit| {
        let page = SweepPage { after, limit };
        let swept = store.sweep_deliveries(Timestamp(before), &page).expect("swept");
        assert!(swept.unreadable.is_empty());
        (swept.removed, swept.next)
    };
    assert_eq!(sweep(1, None, 1000), (0, None));
    let (removed, next) = sweep(251, None, 140);
    assert_eq!((removed, next.is_some()), (140, true));
    assert_eq!(sweep(251, next, 1000), (110, None));
    assert_eq!(listed(store, &endpoint).len(), 50);
    assert_eq!(due(store, EVER).len(), 50);
    assert_eq!(store.endpoint_queue(endpoint.id).expect("read").pending, 50);
    assert_eq!(store.oldest_pending().expect("read"), Some(Timestamp(251)));
}
