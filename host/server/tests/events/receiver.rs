//! Somebody who receives webhooks on this machine.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::PATIENCE;

/// What came.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

#[derive(Default)]
struct Seen {
    received: Vec<Received>,
    /// What is answered next; 204 when there is nothing left.
    answers: VecDeque<StatusCode>,
}

pub struct Receiver {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let router = Router::new().fallback(receive).with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers with these from now on, in their order.
    pub fn answer(&self, statuses: &[StatusCode]) {
        self.seen.lock().expect("no panic").answers.extend(statuses);
    }

    pub fn received(&self) -> Vec<Received> {
        self.seen.lock().expect("no panic").received.clone()
    }

    /// What came, once it is so many.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let waiting = async {
            while self.received().len() < count {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("only {:?}", self.received()));
        self.received()
    }
}

async fn receive(
    State(seen): State<Arc<Mutex<Seen>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut seen = seen.lock().expect("no panic");
    seen.received.push(Received { path: uri.path().to_owned(), headers, body });
    let status = seen.answers.pop_front().unwrap_or(StatusCode::NO_CONTENT);
    if status.is_redirection() {
        return (status, [("location", "/elsewhere")]).into_response();
    }
    (status, format!("the answer is {}", status.as_u16())).into_response()
}
