//! Outgoing webhooks at work on a store, with a receiver and a clock that a test sets.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use atelier_domain::event::EventKind;
use atelier_domain::id::{EndpointId, UserId};
use atelier_domain::job::Job;
use atelier_domain::store::{EventStore as _, EventWatcher as _, JobStore as _, Noted};
use atelier_domain::time::{Clock as _, SystemClock};
use atelier_domain::webhook::{Delivery, DeliveryState, Message};
use atelier_service::caller::Caller;
use atelier_service::events::Hub;
use atelier_service::webhooks::{
    Answer, Made, NewEndpoint, Post, WebhookLimits, WebhookPorts, WebhookSender, Webhooks,
};
use atelier_service::{StoragePool, StoragePoolLimits};
use atelier_storage::Store;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::TestClock;
use crate::events::job;

const PATIENCE: Duration = Duration::from_secs(20);
/// The clock is set ahead of the machine's own, by which the store dates events: what happens is always due.
const AHEAD: Duration = Duration::from_secs(3600);

/// What was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub url: String,
    pub headers: HashMap<&'static str, String>,
    pub body: Vec<u8>,
}

/// Answers by the URL: `…/STATUS`, `…/hang`, or in turn by the script of that URL.
#[derive(Debug, Default)]
pub struct Receiver {
    sent: Mutex<Vec<Sent>>,
    pub scripts: Mutex<HashMap<String, VecDeque<u16>>>,
    /// How long a URL asks to be left alone.
    pub retry_after: Mutex<HashMap<String, Duration>>,
}

#[async_trait]
impl WebhookSender for Receiver {
    fn check(&self, url: &str) -> Result<(), String> {
        if url.starts_with("https://") { Ok(()) } else { Err("must begin with https://".to_owned()) }
    }

    async fn post(&self, post: Post<'_>, body_max: usize) -> Result<Answer, &'static str> {
        let headers = post.headers.into_iter().collect();
        let sent = Sent { url: post.url.to_owned(), headers, body: post.body };
        self.sent.lock().expect("no panic").push(sent);
        let next = self.scripts.lock().expect("no panic").get_mut(post.url).and_then(VecDeque::pop_front);
        let last = post.url.rsplit('/').next().unwrap_or_default();
        if last == "hang" {
            std::future::pending::<()>().await;
        }
        let status = next.or_else(|| last.parse().ok()).ok_or("connect")?;
        let retry_after = self.retry_after.lock().expect("no panic").get(post.url).copied();
        Ok(Answer { status, body: vec![b'x'; body_max], retry_after })
    }
}

impl Receiver {
    pub fn of(&self, url: &str) -> Vec<Sent> {
        self.sent.lock().expect("no panic").iter().filter(|sent| sent.url == url).cloned().collect()
    }
}

/// Webhooks at work, over a folder that outlives them.
pub struct Sending {
    pub webhooks: Webhooks,
    pub receiver: Arc<Receiver>,
    pub clock: Arc<TestClock>,
    pub hub: Arc<Hub>,
    pub store: Arc<Store>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

fn render(message: &Message) -> Vec<u8> {
    format!("{{\"type\":\"{}\"}}", message.kind()).into_bytes()
}

impl Sending {
    pub fn start(store: &Arc<Store>, limits: WebhookLimits) -> Self {
        let (receiver, hub) = (Arc::new(Receiver::default()), Arc::new(Hub::default()));
        let clock = Arc::new(TestClock(AtomicU64::new(SystemClock::default().now().plus(AHEAD).0)));
        let ports = WebhookPorts {
            accounts: store.clone(),
            endpoints: store.clone(),
            deliveries: store.clone(),
            pool: StoragePool::new(StoragePoolLimits::default()),
            sender: receiver.clone(),
            clock: clock.clone(),
            hub: hub.clone(),
            render,
        };
        store.watch_events(hub.clone());
        let webhooks = Webhooks::new(ports, limits);
        let (stop, stopped) = watch::channel(false);
        let running = webhooks.clone();
        let task = tokio::spawn(async move { running.run(stopped).await });
        Self { webhooks, receiver, clock, hub, store: store.clone(), stop, task }
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.expect("it stops");
    }

    pub async fn endpoint(&self, caller: &Caller, url: &str) -> Made {
        let wanted =
            NewEndpoint { url: url.to_owned(), description: String::new(), events: EventKind::ALL.to_vec() };
        self.webhooks.create(caller, wanted).await.expect("made")
    }

    /// A job that is created and nothing more: one event.
    pub fn happen(&self, caller: &Caller) -> Job {
        let job = job(caller.user());
        self.store.create_job(&(&job).into()).expect("created");
        job
    }

    /// Lets time pass, and what is due be sent.
    pub fn pass(&self, seconds: u64) {
        self.clock.pass_seconds(seconds);
        let noted = Noted { owner: UserId::new(), sequence: 1, has_deliveries: true };
        self.hub.stored(noted);
    }

    pub async fn deliveries(&self, caller: &Caller, id: EndpointId) -> Vec<Delivery> {
        self.webhooks.deliveries(caller, id, None, 100).await.expect("listed")
    }

    /// The one delivery of an endpoint, once it is as wanted.
    pub async fn until(&self, caller: &Caller, id: EndpointId, is: impl Fn(&Delivery) -> bool) -> Delivery {
        let waiting = async {
            loop {
                let deliveries = self.deliveries(caller, id).await;
                if let Some(found) = deliveries.into_iter().find(|delivery| is(delivery)) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("in time")
    }

    pub async fn settled(&self, caller: &Caller, id: EndpointId) -> Delivery {
        self.until(caller, id, |delivery| delivery.state != DeliveryState::Pending).await
    }
}

/// What is counted once it is stored.
pub async fn counted(is: impl Fn() -> bool) {
    let waiting = async {
        while !is() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time");
}
