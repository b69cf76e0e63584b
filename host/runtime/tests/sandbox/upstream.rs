//! An upstream with control over every byte: it answers each path with a script.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// What to do with a connection after a request's head and body were read.
#[derive(Clone, Debug)]
pub enum Script {
    /// These bytes.
    Answer(Vec<u8>),
    /// These pieces, each flushed, a pause between them.
    Pieces(Vec<Vec<u8>>, Duration),
    /// These bytes, then nothing more until the client leaves.
    ThenSilence(Vec<u8>),
    /// These bytes, then the connection breaks.
    ThenBreak(Vec<u8>),
    /// A head, then zeros: this many bytes of them.
    Zeros(u64),
    /// The request's own `authorization` header, in some disguise.
    Echo(Echo),
    /// One after the other, the last one from then on.
    InTurn(Arc<AtomicUsize>, Vec<Script>),
}

/// Answers one after the other, the last one from then on.
pub fn in_turn(scripts: impl IntoIterator<Item = Script>) -> Script {
    Script::InTurn(Arc::default(), scripts.into_iter().collect())
}

/// How a secret comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    Body,
    ThreeByteChunks,
    Base64,
    ErrorBody,
    Header,
    TornAcrossEvents,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Request line and headers.
    pub head: String,
    pub body: Vec<u8>,
}

impl Arrived {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[derive(Debug, Default)]
struct Seen {
    arrived: Vec<Arrived>,
    connections: usize,
    left: Option<Instant>,
}

/// A server on a loopback port of its own. Dropped, it ends with all its connections.
#[derive(Debug)]
pub struct Upstream {
    pub address: String,
    seen: Arc<Mutex<Seen>>,
    client_left: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    pub async fn start(scripts: impl IntoIterator<Item = (&'static str, Script)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("bound").to_string();
        let scripts: Arc<HashMap<&str, Script>> = Arc::new(scripts.into_iter().collect());
        let (seen, client_left) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Notify::new()));
        let mut tasks = JoinSet::new();
        let server = (Arc::clone(&seen), Arc::clone(&client_left));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                server.0.lock().expect("no test panics inside").connections += 1;
                let connection =
                    serve(stream, Arc::clone(&scripts), Arc::clone(&server.0), Arc::clone(&server.1));
                connections.spawn(connection);
            }
        });
        Self { address, seen, client_left, _tasks: tasks }
    }

    pub fn port(&self) -> &str {
        self.address.rsplit_once(':').map_or("", |(_, port)| port)
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().expect("no test panics inside").connections
    }

    /// The requests for one path.
    pub fn arrived_at(&self, path: &str) -> Vec<Arrived> {
        let at = |arrived: &Arrived| arrived.head.split(' ').nth(1) == Some(path);
        self.arrived().into_iter().filter(at).collect()
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.seen.lock().expect("no test panics inside").arrived.clone()
    }

    /// Waits until a client has closed a connection whose answer was not at its end, and says when.
    pub async fn client_left(&self) -> Instant {
        tokio::time::timeout(Duration::from_secs(20), self.client_left.notified())
            .await
            .expect("the client left");
        self.seen.lock().expect("no test panics inside").left.expect("noted before the notification")
    }
}

async fn serve(
    mut stream: TcpStream,
    scripts: Arc<HashMap<&'static str, Script>>,
    seen: Arc<Mutex<Seen>>,
    client_left: Arc<Notify>,
) {
    while let Some(arrived) = read_request(&mut stream).await {
        let path = arrived.head.split(' ').nth(1).unwrap_or_default().to_owned();
        let authorization = arrived.header("authorization").unwrap_or_default().to_owned();
        seen.lock().expect("no test panics inside").arrived.push(arrived);
        let script = scripts
            .get(path.as_str())
            .cloned()
            .unwrap_or_else(|| Script::Answer(response("404 Nothing", "", b"")));
        let script = match script {
            Script::InTurn(next, scripts) => {
                scripts[next.fetch_add(1, Ordering::Relaxed).min(scripts.len() - 1)].clone()
            }
            script => script,
        };
        let played = play(&mut stream, script, &authorization).await;
        if matches!(played, Ok(Played::WaitForClient)) {
            let mut rest = [0];
            // Whatever ends this read, it is the client leaving: it has nothing to send.
            let _ = stream.read(&mut rest).await;
        }
        match played {
            Ok(Played::Whole) => {}
            Ok(Played::Broken) => return,
            Ok(Played::WaitForClient) | Err(_) => {
                seen.lock().expect("no test panics inside").left = Some(Instant::now());
                client_left.notify_one();
                return;
            }
        }
    }
}

enum Played {
    Whole,
    Broken,
    WaitForClient,
}

async fn play(stream: &mut TcpStream, script: Script, authorization: &str) -> std::io::Result<Played> {
    match script {
        Script::InTurn(..) => Err(std::io::Error::other("turns are not nested")),
        Script::Answer(bytes) => stream.write_all(&bytes).await.map(|()| Played::Whole),
        Script::Pieces(pieces, pause) => {
            for piece in pieces {
                stream.write_all(&piece).await?;
                tokio::time::sleep(pause).await;
            }
            Ok(Played::Whole)
        }
        Script::ThenSilence(bytes) => stream.write_all(&bytes).await.map(|()| Played::WaitForClient),
        Script::ThenBreak(bytes) => {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            stream.shutdown().await?;
            Ok(Played::Broken)
        }
        Script::Zeros(mut left) => {
            let zeros = vec![0; 256 * 1024];
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {left}\r\n\r\n").as_bytes()).await?;
            while left > 0 {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
                stream.write_all(&zeros[..now]).await?;
                left -= now as u64;
            }
            Ok(Played::Whole)
        }
        Script::Echo(echo) => {
            for piece in echoed(echo, authorization) {
                stream.write_all(&piece).await?;
                stream.flush().await?;
                tokio::task::yield_now().await;
            }
            Ok(Played::Whole)
        }
    }
}

fn echoed(echo: Echo, authorization: &str) -> Vec<Vec<u8>> {
    let text = format!("you sent {authorization}, did you not?");
    match echo {
        Echo::Body => vec![response("200 OK", "", text.as_bytes())],
        Echo::ErrorBody => {
            vec![response(
                "401 Unauthorized",
                "",
                format!("{{\"error\":\"wrong key {authorization}\"}}").as_bytes(),
            )]
        }
        Echo::Header => {
            vec![response("200 OK", &format!("x-you-sent: {authorization}\r\n"), b"see the header")]
        }
        Echo::Base64 => vec![response("200 OK", "", STANDARD.encode(&text).as_bytes())],
        Echo::ThreeByteChunks => {
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            std::iter::once(head).chain(text.as_bytes().chunks(3).map(chunk)).chain([chunk(b"")]).collect()
        }
        Echo::TornAcrossEvents => {
            let head =
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                    .to_vec();
            let events = text.as_bytes().chunks(3).map(|piece| chunk(&[b"data:", piece, b"\n\n"].concat()));
            std::iter::once(head).chain(events).chain([chunk(b"")]).collect()
        }
    }
}

/// A response with a length, and `headers` (each ending in CRLF).
pub fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The head of a response whose end only a last chunk tells.
pub fn chunked_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()
}

/// A chunk (RFC 9112 §7.1); an empty one is the last.
pub fn chunk(data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", data.len()).into_bytes();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Reads a request with a `content-length` or without a body; `None` when the client has closed.
async fn read_request(stream: &mut TcpStream) -> Option<Arrived> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut arrived = Arrived { head, body: bytes.split_off(end + 4) };
    let length = arrived.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    while arrived.body.len() < length {
        if stream.read_buf(&mut arrived.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(arrived)
}
