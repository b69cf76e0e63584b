#[path = "../../tests/support/certificates.rs"]
mod certificates;
mod tls;

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures::Stream;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(3600);
/// An HTTP/2 client's first words: the preface, and settings that change nothing (RFC 9113 §3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// An answer without end, as from a plugin that is called for as long as this lives.
struct Endless(Arc<Notify>);

impl Stream for Endless {
    type Item = Result<Bytes, Infallible>;
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(Some(Ok(Bytes::from_static(&[b'x'; 16 * 1024]))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

struct Serving {
    address: SocketAddr,
    /// An endless answer was let go.
    let_go: Arc<Notify>,
    counts: Counts,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

const BOUNDS: Bounds = Bounds {
    connections_max: 100,
    connections_per_address_max: 100,
    streams_max: 16,
    head_max: LONG,
    stall_max: LONG,
    ping_every: LONG,
    drain_max: Duration::ZERO,
};

impl Serving {
    async fn start(bounds: Bounds) -> Self {
        Self::start_with(bounds, None).await
    }

    async fn start_with(bounds: Bounds, tls: Option<Arc<Tls>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let let_go = Arc::new(Notify::new());
        let answers = let_go.clone();
        let endless = move || std::future::ready(Body::from_stream(Endless(answers.clone())));
        let router = Router::new().route("/endless", get(endless)).route("/hi", get(async || "hi"));
        let counts = Counts {
            open: IntGauge::new("open", "open").expect("a gauge"),
            refused: IntCounter::new("refused", "refused").expect("a counter"),
        };
        let (stop, stopped) = watch::channel(false);
        let workers = Arc::new(Workers::start(1).expect("a thread"));
        let counted = Some(counts.clone());
        let listener = Listener {
            socket: listener,
            router,
            workers,
            bounds,
            counts: counted,
            tls,
            proxies: Proxies::default(),
        };
        let task = tokio::spawn(serve(listener, stopped));
        Self { address, let_go, counts, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.expect("it stops");
    }
}

/// All that a client is sent until its connection ends.
async fn heard(mut connection: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let reading = connection.read_to_end(&mut all);
    tokio::time::timeout(PATIENCE, reading).await.expect("it is closed").expect("and closed well");
    all
}

async fn say(connection: &mut TcpStream, text: &[u8]) {
    connection.write_all(text).await.expect("sent");
}

async fn ask(connection: &mut TcpStream) -> String {
    say(connection, b"GET /hi HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut text = Vec::new();
    while !text.ends_with(b"hi") {
        assert_ne!(connection.read_buf(&mut text).await.expect("read"), 0, "it was closed");
    }
    String::from_utf8(text).expect("text")
}

#[tokio::test]
async fn an_accepted_connection_has_no_delay() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), accept(&listener));
    assert!(!client.expect("connected").nodelay().expect("read"), "the system's own default is to wait");
    assert!(accepted.expect("accepted").nodelay().expect("read"));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go_at_whatever_point_it_falls_silent() {
    let serving = Serving::start(Bounds { head_max: Duration::from_millis(200), ..BOUNDS }).await;
    for said in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM", "GET /hi HTTP/1.1\r\nho"] {
        let mut connection = serving.connect().await;
        say(&mut connection, said.as_bytes()).await;
        let heard = String::from_utf8(heard(connection).await).expect("text");
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 408"), "{said:?}: {heard}");
    }
    let mut kept = serving.connect().await;
    assert!(ask(&mut kept).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut kept).await.starts_with("HTTP/1.1 200"), "it is kept for a while");
    heard(kept).await;
    serving.stop().await;
}

#[tokio::test]
async fn the_shortest_request_is_known_for_what_it_is() {
    let serving = Serving::start(BOUNDS).await;
    let mut connection = serving.connect().await;
    for byte in b"GET /hi HTTP/1.0\r\n\r\n" {
        say(&mut connection, &[*byte]).await;
    }
    assert!(heard(connection).await.ends_with(b"hi"));
    serving.stop().await;
}

#[tokio::test]
async fn an_answer_that_its_client_does_not_read_is_let_go_with_its_connection() {
    let serving = Serving::start(Bounds { stall_max: Duration::from_millis(200), ..BOUNDS }).await;
    let mut connection = serving.connect().await;
    say(&mut connection, b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
    tokio::time::timeout(PATIENCE, serving.let_go.notified()).await.expect("nobody reads it");
    while serving.counts.open.get() > 0 {
        tokio::task::yield_now().await;
    }
    drop(connection);
    serving.stop().await;
}

#[tokio::test]
async fn an_http2_answer_that_its_client_does_not_take_is_let_go_and_others_go_on() {
    let serving = Serving::start(Bounds { stall_max: Duration::from_millis(200), ..BOUNDS }).await;
    let io = TokioIo::new(serving.connect().await);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("agreed");
    let connection = tokio::spawn(connection);
    let request = |path: &str| {
        let url = format!("http://{}{path}", serving.address);
        Request::get(url).body(Empty::<Bytes>::new()).expect("a request")
    };
    let untaken = client.send_request(request("/endless")).await.expect("answered");
    assert_eq!(untaken.status(), 200);
    tokio::time::timeout(PATIENCE, serving.let_go.notified()).await.expect("nobody takes it");
    let answer = client.send_request(request("/hi")).await.expect("answered");
    assert_eq!(answer.collect().await.expect("whole").to_bytes(), "hi");
    let taken = async {
        let mut body = untaken.into_body();
        while let Some(piece) = body.frame().await {
            piece?;
        }
        Ok::<_, hyper::Error>(())
    };
    let ended = tokio::time::timeout(PATIENCE, taken).await.expect("it ends");
    assert!(ended.is_err(), "what was let go does not end well");
    connection.abort();
    serving.stop().await;
}

#[tokio::test]
async fn an_http2_client_that_answers_no_ping_is_let_go() {
    let pings =
        Bounds { head_max: Duration::from_millis(200), ping_every: Duration::from_millis(100), ..BOUNDS };
    let serving = Serving::start(pings).await;
    let mut connection = serving.connect().await;
    say(&mut connection, HTTP2).await;
    assert!(!heard(connection).await.is_empty(), "settings and a ping");
    serving.stop().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let serving = Serving::start(Bounds { connections_per_address_max: 2, ..BOUNDS }).await;
    let (mut first, mut second) = (serving.connect().await, serving.connect().await);
    for connection in [&mut first, &mut second] {
        assert!(ask(connection).await.starts_with("HTTP/1.1 200"));
    }
    assert!(heard(serving.connect().await).await.is_empty());
    assert_eq!(serving.counts.refused.get(), 1);
    drop(first);
    while serving.counts.open.get() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(ask(&mut second).await.starts_with("HTTP/1.1 200"), "those that are open go on");
    // The place is given back a moment after its connection was counted out.
    loop {
        let mut next = serving.connect().await;
        say(&mut next, b"GET /hi HTTP/1.0\r\n\r\n").await;
        let mut text = Vec::new();
        // One that came too early is closed, which may be told as an error where it has said something.
        if next.read_to_end(&mut text).await.is_ok() && text.ends_with(b"hi") {
            break;
        }
    }
    serving.stop().await;
}
