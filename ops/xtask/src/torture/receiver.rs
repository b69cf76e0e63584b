//! Who receives the webhooks: this process, which refuses some and hangs up on others.

mod post;

use std::{
    collections::BTreeMap,
    io::{BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::random::Random;
use post::Post;

/// More than the host sends at once.
const CONNECTIONS_MAX: usize = 256;
const SOCKET_LIMIT: Duration = Duration::from_secs(10);
/// How a message that comes for the first time is met, of a hundred. A message that came before is always taken: the host waits five seconds
/// before it sends one again, and a minute the next time.
const REFUSED: u64 = 12;
const HUNG_UP: u64 = 8;
const SLOW: u64 = 5;
const SLOW_PAUSE: Duration = Duration::from_millis(300);
/// How far a message's time may be from now (Standard Webhooks).
const AGE_MAX_S: u64 = 300;

/// A message, however often it came.
#[derive(Clone, Debug)]
pub struct Message {
    /// The place of the user whose endpoint it came to.
    pub user: usize,
    pub body: String,
    pub times: u32,
    /// It was answered with success.
    pub is_taken: bool,
}

/// All that came.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// By endpoint and `webhook-id`.
    pub messages: BTreeMap<(usize, String), Message>,
    /// What is no message, and why.
    pub wrong: Vec<String>,
    pub refused: u32,
    pub hung_up: u32,
}

#[derive(Debug)]
struct Inner {
    mail: Mutex<Mail>,
    keys: Mutex<BTreeMap<usize, Vec<u8>>>,
    random: Mutex<Random>,
    open: AtomicUsize,
    is_closing: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running receiver. Dropped, it takes no more connections.
#[derive(Debug)]
pub struct Receiver {
    inner: Arc<Inner>,
    address: SocketAddr,
    listening: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listen on a free port of the loopback.
    pub fn start(seed: u64) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen for webhooks")?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner {
            mail: Mutex::default(),
            keys: Mutex::default(),
            random: Mutex::new(Random::new(seed)),
            open: AtomicUsize::new(0),
            is_closing: AtomicBool::new(false),
        });
        let serving = Arc::clone(&inner);
        let listening = Some(thread::spawn(move || serving.listen(&listener)));
        Ok(Self { inner, address, listening })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint of the user in this place.
    pub fn url(&self, place: usize) -> String {
        format!("http://{}/{place}", self.address)
    }

    /// Expect messages of this endpoint, signed with this secret.
    pub fn expect(&self, place: usize, secret: &str) -> Result<()> {
        let secret = secret.strip_prefix("whsec_").context("a secret begins with whsec_")?;
        lock(&self.inner.keys).insert(place, STANDARD.decode(secret).context("a secret is base64")?);
        Ok(())
    }

    /// What came until now.
    pub fn mail(&self) -> Mail {
        lock(&self.inner.mail).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.inner.is_closing.store(true, Ordering::Release);
        // Wakes it from its waiting; if it is gone already, it need not be.
        drop(TcpStream::connect(self.address));
        if let Some(listening) = self.listening.take() {
            // A panic there is told by what is missing in the mail.
            drop(listening.join());
        }
    }
}

/// How a message is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Take,
    TakeSlowly,
    Refuse,
    HangUp,
}

impl Inner {
    fn listen(self: Arc<Self>, listener: &TcpListener) {
        for connection in listener.incoming() {
            if self.is_closing.load(Ordering::Acquire) {
                return;
            }
            let Ok(connection) = connection else { continue };
            if self.open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
                self.open.fetch_sub(1, Ordering::AcqRel);
                continue;
            }
            let inner = Arc::clone(&self);
            thread::spawn(move || {
                inner.converse(&connection);
                inner.open.fetch_sub(1, Ordering::AcqRel);
            });
        }
    }

    /// One message, one answer. A host that was killed meanwhile sends it again.
    fn converse(&self, connection: &TcpStream) {
        let limits = [
            connection.set_read_timeout(Some(SOCKET_LIMIT)),
            connection.set_write_timeout(Some(SOCKET_LIMIT)),
        ];
        if limits.iter().any(Result::is_err) {
            return;
        }
        let Ok(post) = Post::read(&mut BufReader::new(connection)) else { return };
        let (place, id) = match self.checked(&post) {
            Ok(found) => found,
            Err(why) => {
                lock(&self.mail).wrong.push(format!("{} with {:?}: {why}", post.path, post.headers));
                return self.answer(connection, "400 Bad Request");
            }
        };
        let manner = self.note(place, &id, &post.body);
        match manner {
            Manner::HangUp => return,
            Manner::Refuse => return self.answer(connection, "500 Internal Server Error"),
            Manner::TakeSlowly => thread::sleep(SLOW_PAUSE),
            Manner::Take => {}
        }
        self.answer(connection, "204 No Content");
        if let Some(message) = lock(&self.mail).messages.get_mut(&(place, id)) {
            message.is_taken = true;
        }
    }

    fn answer(&self, mut connection: &TcpStream, status: &str) {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        // A host that is gone sends the message again.
        let _told_or_gone = connection.write_all(head.as_bytes());
    }

    /// Enters a message, and decides how it is met.
    fn note(&self, place: usize, id: &str, body: &str) -> Manner {
        let drawn = lock(&self.random).between(0, 100);
        let mut mail = lock(&self.mail);
        if let Some(known) = mail.messages.get_mut(&(place, id.to_owned())) {
            known.times += 1;
            if known.body != body {
                let why = format!("{id} said {}, then {body}", known.body);
                mail.wrong.push(why);
            }
            return Manner::Take;
        }
        let message = Message { user: place, body: body.to_owned(), times: 1, is_taken: false };
        mail.messages.insert((place, id.to_owned()), message);
        match drawn {
            0..REFUSED => {
                mail.refused += 1;
                Manner::Refuse
            }
            drawn if drawn < REFUSED + HUNG_UP => {
                mail.hung_up += 1;
                Manner::HangUp
            }
            drawn if drawn < REFUSED + HUNG_UP + SLOW => Manner::TakeSlowly,
            _ => Manner::Take,
        }
    }

    /// The endpoint and id of a message whose signature is right
    /// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
    fn checked(&self, post: &Post) -> Result<(usize, String), &'static str> {
        let place = post.path.trim_start_matches('/').parse().map_err(|_| "there is no such endpoint")?;
        let key = lock(&self.keys).get(&place).cloned().ok_or("nobody made such an endpoint")?;
        let header = |name: &'static str| post.header(name).ok_or(name);
        let (id, time) = (header("webhook-id")?, header("webhook-timestamp")?);
        let seconds: u64 = time.parse().map_err(|_| "its time is no number")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now.abs_diff(seconds) > AGE_MAX_S {
            return Err("its time is far from now");
        }
        let is_signed = header("webhook-signature")?.split(' ').any(|signature| {
            let signature = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
            let mac = Hmac::<Sha256>::new_from_slice(&key).ok();
            let signed = mac.map(|mac| mac.chain_update(format!("{id}.{time}.{}", post.body)));
            signed.zip(signature).is_some_and(|(mac, signature)| mac.verify_slice(&signature).is_ok())
        });
        if is_signed { Ok((place, id.to_owned())) } else { Err("its signature is wrong") }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn sent(receiver: &Receiver, signature: &str, body: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let signature = match signature {
            "right" => {
                let mac = Hmac::<Sha256>::new_from_slice(b"key").expect("any length");
                let mac = mac.chain_update(format!("msg_1.{now}.{body}"));
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            }
            other => other.to_owned(),
        };
        let head = format!(
            "POST /0 HTTP/1.1\r\nWebhook-Id: msg_1\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {signature}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut connection = TcpStream::connect(receiver.address()).expect("it listens");
        connection.write_all(head.as_bytes()).expect("sent");
        let mut answer = String::new();
        // A connection that is hung up on ends without an answer.
        let _end = connection.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn a_message_is_taken_at_the_second_time_at_last_and_a_forged_one_never() {
        let receiver = Receiver::start(1).expect("a port");
        receiver.expect(0, "whsec_a2V5").expect("a secret");
        sent(&receiver, "right", "{}");
        assert!(sent(&receiver, "right", "{}").starts_with("HTTP/1.1 204"));
        assert!(sent(&receiver, "v1,AAAA", "{}").starts_with("HTTP/1.1 400"));
        let mail = receiver.mail();
        assert_eq!((mail.messages.len(), mail.wrong.len()), (1, 1));
        let message = &mail.messages[&(0, "msg_1".to_owned())];
        assert_eq!((message.times, message.body.as_str()), (2, "{}"));
    }
}
