//! Feeds of events, on the real store.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::account::{Role, User};
use atelier_domain::event::EventKind;
use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::{Job, JobState, StoredRequest};
use atelier_domain::model::Task;
use atelier_domain::store::{AccountStore as _, EventRetention, EventStore as _, JobStore as _};
use atelier_domain::time::{SystemClock, Timestamp};
use atelier_service::caller::Caller;
use atelier_service::events::{EventLimits, EventPorts, Events, FeedItem, Feeding, Hub};
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use atelier_storage::Store;

use crate::jobs::{caller, stores};

const PATIENCE: Duration = Duration::from_secs(20);

struct Feeds {
    _folder: tempfile::TempDir,
    store: Arc<Store>,
    events: Events,
    hub: Arc<Hub>,
}

fn feeds(limits: EventLimits) -> Feeds {
    let (folder, store, _) = stores();
    let hub = Arc::new(Hub::default());
    let ports = EventPorts {
        accounts: store.clone(),
        events: store.clone(),
        jobs: store.clone(),
        pool: StoragePool::new(StoragePoolLimits::default()),
        clock: Arc::new(SystemClock::default()),
        hub: hub.clone(),
    };
    Feeds { _folder: folder, events: Events::new(ports, limits), store, hub }
}

pub fn job(owner: UserId) -> Job {
    let request = StoredRequest {
        prompt: Some("a prompt that no event tells".to_owned()),
        ..StoredRequest::new("scripted/painter".to_owned(), Task::ImageGeneration)
    };
    let now = Timestamp(1);
    Job {
        id: JobId::new(),
        owner,
        state: JobState::Queued,
        request,
        request_id: Some("req_of_test".to_owned()),
        trace: None,
        created: now,
        started: None,
        finished: None,
        deadline: Timestamp(u64::MAX),
        progress: None,
        attempt: 0,
        charging: false,
        cancel_requested: false,
        wake_at: now,
        ticket: None,
        outputs: Vec::new(),
        usage: Vec::new(),
        error: None,
        bill: atelier_domain::money::Bill::default(),
        is_erased: false,
    }
}

impl Feeds {
    fn create(&self, alice: &Caller) -> JobId {
        let job = job(alice.user());
        self.store.create_job(&(&job).into()).expect("created");
        job.id
    }

    fn set(&self, id: JobId, state: JobState) {
        let change = |job: &mut Job| {
            job.state = state;
            true
        };
        self.store.change_job(id, &change).expect("changed").expect("there");
    }

    async fn follow(&self, alice: &Caller, after: Option<u64>) -> Feeding {
        self.events.follow(alice, after).await.expect("followed")
    }

    fn sweep(&self, per_owner_max: u64) {
        let keep = EventRetention { per_owner_max, since: Timestamp(0) };
        self.store.sweep_events(None, &keep, usize::MAX).expect("swept");
    }
}

async fn next(feed: &mut Feeding) -> Option<FeedItem> {
    tokio::time::timeout(PATIENCE, feed.recv()).await.expect("in time")
}

/// The number and kind of what comes next.
async fn event(feed: &mut Feeding) -> (u64, EventKind) {
    match next(feed).await {
        Some(FeedItem::Event(event)) => (event.sequence, event.kind),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_gives_what_was_missed_and_what_comes_each_once_while_others_write() {
    const JOBS: u64 = 150;
    let (feeds, alice) = (feeds(EventLimits::default()), caller());
    for _ in 0..20 {
        feeds.create(&alice);
    }
    let (store, owner) = (feeds.store.clone(), alice.user());
    let writers: Vec<_> = (0..2)
        .map(|_| {
            let store = store.clone();
            std::thread::spawn(move || {
                (0..JOBS).for_each(|_| store.create_job(&(&job(owner)).into()).expect("created"))
            })
        })
        .collect();
    let mut readers = Vec::new();
    // Readers that come at any time and leave again, each going on where it left.
    for _ in 0..3 {
        let (events, alice) = (feeds.events.clone(), alice.clone());
        readers.push(tokio::spawn(async move {
            let (mut after, mut stay) = (0, 1);
            while after < 20 + 2 * JOBS {
                let mut feed = events.follow(&alice, Some(after)).await.expect("followed");
                for _ in 0..stay.min(20 + 2 * JOBS - after) {
                    let (sequence, _) = event(&mut feed).await;
                    assert_eq!(sequence, after + 1, "neither a gap nor a double");
                    after = sequence;
                }
                stay += 7;
            }
        }));
    }
    for writer in writers {
        tokio::task::spawn_blocking(move || writer.join()).await.expect("joined").expect("no panic");
    }
    for reader in readers {
        reader.await.expect("no panic");
    }
}

#[tokio::test]
async fn a_feed_without_a_number_begins_with_what_happens_next_and_tells_nothing_of_others() {
    let (feeds, alice, bob) = (feeds(EventLimits::default()), caller(), caller());
    feeds.create(&alice);
    let mut feed = feeds.follow(&alice, None).await;
    feeds.create(&bob);
    let id = feeds.create(&alice);
    assert_eq!(event(&mut feed).await, (2, EventKind::Queued));
    feeds.set(id, JobState::Processing);
    assert_eq!(event(&mut feed).await, (3, EventKind::Processing));
}

#[tokio::test]
async fn what_is_kept_no_more_is_said_and_the_feed_goes_on_with_the_oldest() {
    let (feeds, alice) = (feeds(EventLimits::default()), caller());
    for _ in 0..10 {
        feeds.create(&alice);
    }
    feeds.sweep(3);
    let mut old = feeds.follow(&alice, Some(2)).await;
    assert_eq!(next(&mut old).await, Some(FeedItem::Missed { oldest: 8 }));
    assert_eq!(event(&mut old).await.0, 8);
    let mut at_the_edge = feeds.follow(&alice, Some(7)).await;
    assert_eq!(event(&mut at_the_edge).await.0, 8, "nothing was missed");
    for number in [4711, u64::MAX] {
        let mut of_another_life = feeds.follow(&alice, Some(number)).await;
        assert_eq!(next(&mut of_another_life).await, Some(FeedItem::Missed { oldest: 8 }));
        assert_eq!(event(&mut of_another_life).await.0, 8);
    }
}

#[tokio::test]
async fn a_jobs_feed_begins_with_its_first_event_and_ends_with_its_last() {
    let (feeds, alice) = (feeds(EventLimits::default()), caller());
    let (id, other) = (feeds.create(&alice), feeds.create(&alice));
    let mut feed = feeds.events.follow_job(&alice, id, 0).await.expect("followed").expect("open");
    assert_eq!(event(&mut feed).await, (1, EventKind::Queued));
    feeds.set(other, JobState::Failed);
    feeds.set(id, JobState::Processing);
    assert_eq!(event(&mut feed).await, (4, EventKind::Processing));
    feeds.set(id, JobState::Succeeded);
    assert_eq!(event(&mut feed).await, (5, EventKind::Succeeded));
    assert_eq!(next(&mut feed).await, None, "there is nothing more to tell");
    let mut again = feeds.events.follow_job(&alice, id, 4).await.expect("followed").expect("open");
    assert_eq!(event(&mut again).await, (5, EventKind::Succeeded));
    assert_eq!(next(&mut again).await, None);
    assert!(feeds.events.follow_job(&alice, id, 5).await.expect("answered").is_none());
    let foreign = feeds.events.follow_job(&caller(), id, 0).await;
    assert!(matches!(foreign, Err(ServiceError::NotFound { .. })), "{foreign:?}");
    feeds.sweep(0);
    let mut gone = feeds.events.follow_job(&alice, id, 0).await.expect("followed").expect("open");
    assert!(matches!(next(&mut gone).await, Some(FeedItem::Missed { .. })));
    assert_eq!(next(&mut gone).await, None, "the job has ended, whatever is kept of it");
}

#[tokio::test]
async fn a_user_has_so_many_feeds_open_and_a_feed_that_is_left_is_free_again() {
    let limits = EventLimits { feeds_per_user: 2, feeds_max: 3, ..EventLimits::default() };
    let (feeds, alice, bob) = (feeds(limits), caller(), caller());
    let first = feeds.follow(&alice, None).await;
    let _second = feeds.follow(&alice, None).await;
    let third = feeds.events.follow(&alice, None).await;
    assert!(matches!(third, Err(ServiceError::TooMany { max: 2, .. })), "{third:?}");
    let _bobs = feeds.follow(&bob, None).await;
    let beyond = feeds.events.follow(&bob, None).await;
    assert!(matches!(beyond, Err(ServiceError::TooMany { .. })), "all together have too many");
    drop(first);
    tokio::time::timeout(PATIENCE, async {
        while feeds.events.open() > 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it ends");
    let _again = feeds.follow(&alice, None).await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_let_go_and_goes_on_later_with_nothing_lost() {
    let limits = EventLimits { stall_max: Duration::from_millis(50), ..EventLimits::default() };
    let (feeds, alice) = (feeds(limits), caller());
    for _ in 0..200 {
        feeds.create(&alice);
    }
    let mut feed = feeds.follow(&alice, Some(0)).await;
    tokio::time::timeout(PATIENCE, async {
        while feeds.events.cut() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is cut");
    assert_eq!(feeds.events.open(), 0, "and holds no place");
    let mut after = 0;
    while let Some(FeedItem::Event(event)) = next(&mut feed).await {
        assert_eq!(event.sequence, after + 1);
        after = event.sequence;
    }
    assert!(after < 200, "what waits for a reader is bounded");
    let mut feed = feeds.follow(&alice, Some(after)).await;
    for sequence in after + 1..=200 {
        assert_eq!(event(&mut feed).await.0, sequence);
    }
}

#[tokio::test]
async fn a_silent_feed_says_that_it_is_alive_and_ends_when_its_time_is_over() {
    let limits = EventLimits {
        heartbeat: Duration::from_millis(20),
        total_max: Duration::from_millis(300),
        ..EventLimits::default()
    };
    let (feeds, alice) = (feeds(limits), caller());
    let mut feed = feeds.follow(&alice, None).await;
    assert_eq!(next(&mut feed).await, Some(FeedItem::Alive));
    while let Some(item) = next(&mut feed).await {
        assert_eq!(item, FeedItem::Alive);
    }
}

#[tokio::test]
async fn feeds_end_at_once_when_the_server_stops() {
    let (feeds, alice) = (feeds(EventLimits::default()), caller());
    let mut feed = feeds.follow(&alice, None).await;
    feeds.hub.close();
    assert_eq!(next(&mut feed).await, None);
    let mut late = feeds.follow(&alice, None).await;
    assert_eq!(next(&mut late).await, None);
}

#[tokio::test]
async fn a_feed_ends_when_its_owner_is_disabled_and_tells_nothing_more() {
    // At the next event, and where none comes at the next sign of life.
    for heartbeat in [Duration::from_secs(3600), Duration::from_millis(20)] {
        let (feeds, alice) = (feeds(EventLimits { heartbeat, ..EventLimits::default() }), caller());
        let mut row = User {
            id: alice.user(),
            name: "alice".to_owned(),
            role: Role::User,
            created: Timestamp(0),
            disabled: false,
            verified: None,
        };
        feeds.store.create_user(&row).expect("created");
        let mut feed = feeds.follow(&alice, Some(0)).await;
        feeds.create(&alice);
        while next(&mut feed).await == Some(FeedItem::Alive) {}
        row.disabled = true;
        feeds.store.update_user(&row).expect("changed");
        if heartbeat.as_secs() > 0 {
            feeds.create(&alice);
        }
        while let Some(item) = next(&mut feed).await {
            assert_eq!(item, FeedItem::Alive);
        }
    }
}
