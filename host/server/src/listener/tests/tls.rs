use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use prometheus::{IntCounterVec, Opts};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{Authority, Issued};
use super::*;
use crate::listener::TlsFiles;

/// A listener with TLS, and the folder of its files.
struct Secured {
    serving: Serving,
    counts: TlsCounts,
    authority: Authority,
    folder: tempfile::TempDir,
}

fn setup(folder: &Path) -> TlsSetup {
    TlsSetup {
        files: TlsFiles {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            client_ca: None,
        },
        handshake_max: LONG,
        handshakes_max: 100,
        handshakes_per_address_max: 100,
        reload_every: LONG,
        hsts: Duration::from_secs(60),
    }
}

fn counts() -> TlsCounts {
    let counter = |name: &str| IntCounter::new(name, name).expect("a counter");
    TlsCounts {
        failed: IntCounterVec::new(Opts::new("failed", "failed"), &["reason"]).expect("a counter"),
        reloaded: counter("reloaded"),
        refused: counter("refused"),
        not_after: Arc::default(),
    }
}

impl Secured {
    async fn start(bounds: Bounds, change: impl FnOnce(&mut TlsSetup)) -> Self {
        let (authority, folder) = (Authority::new("ours"), tempfile::tempdir().expect("a folder"));
        authority.server(4000).write(folder.path());
        let mut setup = setup(folder.path());
        change(&mut setup);
        let counts = counts();
        let tls = Arc::new(Tls::new(setup, counts.clone()).expect("good files"));
        let serving = Serving::start_with(bounds, Some(tls.clone())).await;
        tokio::spawn(tls.watch(serving.stop.subscribe()));
        Self { serving, counts, authority, folder }
    }

    fn failed(&self, reason: &str) -> u64 {
        self.counts.failed.with_label_values(&[reason]).get()
    }

    /// Waits until so many handshakes failed for that reason, and nothing is left of them.
    async fn failed_and_gone(&self, reason: &str, count: u64) {
        let gone = async {
            while self.failed(reason) < count || self.serving.counts.open.get() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect("in time");
        assert_eq!(self.failed(reason), count);
    }

    async fn agree(&self, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        agree(self.serving.connect().await, config).await
    }
}

async fn agree(stream: TcpStream, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// A client that trusts an authority and speaks what is named.
fn trusting(authority: &Authority, speaks: &[&str], own: Option<&Issued>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(issued) => {
            let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("PEM");
            config.with_client_auth_cert(chain, key).expect("they fit")
        }
    };
    config.alpn_protocols = speaks.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// All that comes after a request that ends its connection.
async fn asked(stream: &mut TlsStream<TcpStream>) -> io::Result<String> {
    stream.write_all(b"GET /hi HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[tokio::test]
async fn http_1_and_http_2_are_agreed_upon_and_answers_say_to_stay_on_tls() {
    let secured = Secured::start(BOUNDS, |_| {}).await;
    for speaks in [&[] as &[&str], &["http/1.1"]] {
        let mut stream = secured.agree(trusting(&secured.authority, speaks, None)).await.expect("agreed");
        let text = asked(&mut stream).await.expect("answered");
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("hi"), "{text}");
        assert!(text.contains("strict-transport-security: max-age=60\r\n"), "{text}");
    }
    let both = trusting(&secured.authority, &["h2", "http/1.1"], None);
    let stream = secured.agree(both).await.expect("agreed");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    assert!(stream.get_ref().0.nodelay().is_ok());
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("h2");
    tokio::spawn(connection);
    let request = Request::get("https://localhost/hi").body(Empty::<Bytes>::new()).expect("a request");
    let answer = client.send_request(request).await.expect("answered");
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=60");
    assert_eq!(answer.collect().await.expect("whole").to_bytes(), "hi");
    let neither = secured.agree(trusting(&secured.authority, &["spdy/3"], None)).await;
    assert!(neither.is_err(), "nothing in common");
    drop(client);
    secured.failed_and_gone("nothing_in_common", 1).await;
    secured.serving.stop().await;
}

#[tokio::test]
async fn who_has_no_certificate_or_one_of_another_authority_does_not_get_in() {
    let (operators, strangers) = (Authority::new("operators"), Authority::new("strangers"));
    let secured = Secured::start(BOUNDS, |setup| {
        let file = setup.files.certificate.with_file_name("operators.pem");
        std::fs::write(&file, operators.pem()).expect("written");
        setup.files.client_ca = Some(file);
    })
    .await;
    let stranger = strangers.client();
    for (own, reason) in [(None, "no_client_certificate"), (Some(&stranger), "bad_client_certificate")] {
        let told = match secured.agree(trusting(&secured.authority, &[], own)).await {
            // In TLS 1.3 a client learns it with what it reads first.
            Ok(mut stream) => asked(&mut stream).await,
            Err(error) => Err(error),
        };
        assert!(told.is_err(), "{told:?}");
        secured.failed_and_gone(reason, 1).await;
    }
    // A server's certificate of the right authority is no client's.
    let wrong = operators.server(4000);
    let told = match secured.agree(trusting(&secured.authority, &[], Some(&wrong))).await {
        Ok(mut stream) => asked(&mut stream).await,
        Err(error) => Err(error),
    };
    assert!(told.is_err(), "{told:?}");
    secured.failed_and_gone("bad_client_certificate", 2).await;
    let operator = operators.client();
    let mut stream = secured.agree(trusting(&secured.authority, &[], Some(&operator))).await.expect("agreed");
    assert!(asked(&mut stream).await.expect("answered").ends_with("hi"));
    secured.serving.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_to_an_end_is_given_up() {
    let secured = Secured::start(BOUNDS, |setup| setup.handshake_max = Duration::from_millis(200)).await;
    // Nothing, and the begin of a record that is longer than what comes of it.
    for (said, count) in [(b"".as_slice(), 1), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 2)] {
        let mut connection = secured.serving.connect().await;
        say(&mut connection, said).await;
        heard(connection).await;
        secured.failed_and_gone("timeout", count).await;
    }
    // Who speaks something else is told at once.
    let mut plain = secured.serving.connect().await;
    say(&mut plain, b"GET /hi HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!String::from_utf8_lossy(&heard(plain).await).contains("HTTP/"));
    secured.failed_and_gone("malformed", 1).await;
    drop(secured.serving.connect().await);
    secured.failed_and_gone("left", 1).await;
    secured.serving.stop().await;
}

async fn connect_from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0).into()).expect("an address");
    socket.connect(to).await.expect("connected")
}

#[tokio::test]
async fn handshakes_of_one_address_wait_for_their_turn_and_those_of_others_do_not() {
    let secured = Secured::start(BOUNDS, |setup| setup.handshakes_per_address_max = 1).await;
    let address = secured.serving.address;
    let silent = connect_from(2, address).await;
    // The silent one has the turn of its address once it is counted.
    while secured.serving.counts.open.get() < 1 {
        tokio::task::yield_now().await;
    }
    let config = || trusting(&secured.authority, &[], None);
    let mut other = agree(connect_from(3, address).await, config()).await.expect("agreed");
    assert!(asked(&mut other).await.expect("answered").ends_with("hi"));
    let mut waiting = Box::pin(agree(connect_from(2, address).await, config()));
    let soon = tokio::time::timeout(Duration::from_millis(300), &mut waiting).await;
    assert!(soon.is_err(), "it waits for its turn");
    drop(silent);
    let mut stream = tokio::time::timeout(PATIENCE, waiting).await.expect("its turn came").expect("agreed");
    assert!(asked(&mut stream).await.expect("answered").ends_with("hi"));
    secured.serving.stop().await;
}

#[tokio::test]
async fn the_bounds_of_a_connection_hold_over_tls() {
    let quick = Duration::from_millis(200);
    let bounds = Bounds { head_max: quick, stall_max: quick, connections_per_address_max: 1, ..BOUNDS };
    let secured = Secured::start(bounds, |_| {}).await;
    let config = || trusting(&secured.authority, &[], None);
    // Nothing is said after the handshake.
    let mut silent = secured.agree(config()).await.expect("agreed");
    let second = secured.agree(config()).await;
    assert!(second.is_err() && secured.serving.counts.refused.get() == 1, "one for each address");
    let mut text = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut text)).await.expect("it is let go");
    assert!(text.is_empty(), "{ended:?}");
    secured.failed_and_gone("left", 0).await;
    // Nothing is read of what is sent.
    let mut deaf = loop {
        if let Ok(stream) = secured.agree(config()).await {
            break stream;
        }
    };
    deaf.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    tokio::time::timeout(PATIENCE, secured.serving.let_go.notified()).await.expect("nobody reads it");
    secured.failed_and_gone("timeout", 0).await;
    drop(deaf);
    secured.serving.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_handshake() {
    let secured = Secured::start(Bounds { drain_max: LONG, ..BOUNDS }, |_| {}).await;
    let silent = secured.serving.connect().await;
    while secured.serving.counts.open.get() < 1 {
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(PATIENCE, secured.serving.stop()).await.expect("it stops");
    assert!(heard(silent).await.is_empty());
}

#[tokio::test]
async fn a_changed_certificate_is_used_from_then_on_and_a_broken_one_never() {
    let secured = Secured::start(BOUNDS, |setup| setup.reload_every = Duration::from_millis(10)).await;
    let until = |counter: &IntCounter, count: u64| {
        let counter = counter.clone();
        tokio::time::timeout(PATIENCE, async move {
            while counter.get() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    let first_until = secured.counts.not_after.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(first_until, 64_060_588_800, "the first day of the year 4000");
    let mut before = secured.agree(trusting(&secured.authority, &[], None)).await.expect("agreed");
    let others = Authority::new("others");
    others.server(3000).write(secured.folder.path());
    until(&secured.counts.reloaded, 1).await.expect("it is seen");
    assert!(secured.agree(trusting(&secured.authority, &[], None)).await.is_err(), "the old one is gone");
    let mut after = secured.agree(trusting(&others, &[], None)).await.expect("agreed");
    assert!(asked(&mut after).await.expect("answered").ends_with("hi"));
    assert!(asked(&mut before).await.expect("answered").ends_with("hi"), "what is open goes on");
    let third_until = secured.counts.not_after.load(std::sync::atomic::Ordering::Relaxed);
    assert!(third_until < first_until);

    let refused = secured.counts.refused.get();
    std::fs::write(secured.folder.path().join("key.pem"), "no key").expect("written");
    until(&secured.counts.refused, refused + 1).await.expect("it is seen");
    let mut still = secured.agree(trusting(&others, &[], None)).await.expect("the one before stays");
    assert!(asked(&mut still).await.expect("answered").ends_with("hi"));
    others.server(4000).write(secured.folder.path());
    until(&secured.counts.reloaded, 2).await.expect("and is replaced once it can be");
    secured.serving.stop().await;
}

#[test]
fn files_that_do_not_fit_are_refused_by_the_setting_that_names_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("ours");
    let (one, two) = (authority.server(4000), authority.server(4000));
    let tried = |certificate: &str, key: &str, client_ca: Option<&str>| {
        let mut setup = setup(folder.path());
        std::fs::write(&setup.files.certificate, certificate).expect("written");
        std::fs::write(&setup.files.key, key).expect("written");
        setup.files.client_ca = client_ca.map(|pem| {
            let file = folder.path().join("ca.pem");
            std::fs::write(&file, pem).expect("written");
            file
        });
        setup.files.load().map(drop).map_err(|bad| bad.setting)
    };
    assert_eq!(tried(&one.certificate, &one.key, None), Ok(()));
    assert_eq!(tried(&one.certificate, &sec1(&one.key), None), Ok(()));
    assert_eq!(tried(&one.certificate, &one.key, Some(&authority.pem())), Ok(()));
    assert_eq!(tried("", &one.key, None), Err("certificate"));
    assert_eq!(tried(&one.key, &one.key, None), Err("certificate"));
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(tried(nonsense, &one.key, None), Err("certificate"));
    assert_eq!(tried(&one.certificate, "", None), Err("key"));
    assert_eq!(tried(&one.certificate, &two.key, None), Err("key"), "another's");
    assert_eq!(tried(&one.certificate, &one.key, Some("")), Err("client_ca"));
    std::fs::remove_file(folder.path().join("key.pem")).expect("removed");
    assert_eq!(setup(folder.path()).files.load().map(drop).map_err(|bad| bad.setting), Err("key"));
}

/// The same key in SEC1: what PKCS#8 holds in its last octets (RFC 5958 §2, RFC 5915 §3).
fn sec1(pkcs8: &str) -> String {
    let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(pkcs8.as_bytes()).expect("PEM") else {
        panic!("no PKCS#8")
    };
    let der = key.secret_pkcs8_der();
    let start = der.windows(3).position(|bytes| bytes == [0x04, 0x6d, 0x30]).expect("P-256's octets") + 2;
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(&der[start..]);
    format!("-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n")
}
