//! TLS from outside: the binary, and clients that are not ours (`openssl` and `curl` of the system).

#[path = "support/certificates.rs"]
mod certificates;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use certificates::{Authority, Issued};
use rustix::process::{Pid, Signal, kill_process};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server, with TLS on both of its listeners; ended with the test.
struct Server {
    child: Child,
    /// `127.0.0.1:PORT` of the callers' listener and of the operators'.
    public: String,
    admin: String,
    key: String,
    config: PathBuf,
    log: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn atelier(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
    command.args(words).env_remove("ATELIER_KEY");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Server {
    /// With the files that `write` leaves in the folder `tls` beside the configuration.
    fn start(authority: &Authority, write: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("host");
        let init = atelier(&["init"]).arg(&dir).output().expect("it runs");
        let printed = text(&init.stdout);
        assert!(printed.contains("[server.tls]"), "{printed}");
        let key = printed.lines().find_map(|line| line.strip_prefix("key: ")).expect("a key").to_owned();
        let tls = dir.join("tls");
        std::fs::create_dir(&tls).expect("made");
        std::fs::write(tls.join("ca.pem"), authority.pem()).expect("written");
        write(&tls);
        let config = dir.join("atelier.toml");
        let files = "certificate = \"tls/certificate.pem\"\nkey = \"tls/key.pem\"\nreload_seconds = 3600\n";
        // The command line asks the server where the configuration says that it listens.
        let ports = [free_port(), free_port()];
        let changed = std::fs::read_to_string(&config)
            .expect("the configuration")
            .replace("127.0.0.1:8484", &format!("127.0.0.1:{}", ports[0]))
            .replace("127.0.0.1:8485", &format!("127.0.0.1:{}", ports[1]))
            .replace("enabled = true   # in-house", "enabled = false   # in-house");
        let more = format!("[server.tls]\n{files}[admin.tls]\n{files}client_ca = \"tls/ca.pem\"\n");
        std::fs::write(&config, format!("{changed}\n{more}")).expect("written");
        let mut child = atelier(&["serve", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut errors = BufReader::new(child.stderr.take().expect("piped")).lines();
        let told = errors.by_ref().map(|line| line.expect("text"));
        let line = { told }.find(|line| line.contains("listens on")).expect("it says where it listens");
        let mut words = line.split([' ', '(', ')']).filter_map(|word| word.strip_prefix("https://"));
        let mut address = || words.next().expect("two addresses, both over TLS").to_owned();
        let (public, admin) = (address(), address());
        let log = Arc::<Mutex<Vec<String>>>::default();
        let lines = log.clone();
        std::thread::spawn(move || {
            for line in errors.map_while(Result::ok) {
                lines.lock().expect("no reader panics").push(line);
            }
        });
        Self { child, public, admin, key, config, log, folder }
    }

    fn tls(&self) -> PathBuf {
        self.folder.path().join("host/tls")
    }

    /// `curl` against one of its listeners: how it ended, head and body.
    fn curl(&self, authority: &Path, words: &[&str], url: &str) -> (ExitStatus, String) {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "30", "--cacert"])
            .arg(authority)
            .args(words)
            .arg(url)
            .output()
            .expect("curl is there: these tests need it, and openssl");
        (output.status, text(&output.stdout) + &text(&output.stderr))
    }

    /// `openssl s_client` against the callers' listener, which says nothing to it.
    fn s_client(&self, words: &[&str]) -> Output {
        Command::new("openssl")
            .args(["s_client", "-connect", &self.public, "-servername", "localhost", "-CAfile"])
            .arg(self.tls().join("ca.pem"))
            .args(words)
            .stdin(Stdio::null())
            .output()
            .expect("openssl is there: these tests need it, and curl")
    }

    /// Waits for a line of the log.
    fn says(&self, what: &str) {
        let begun = Instant::now();
        while !self.log.lock().expect("no reader panics").iter().any(|line| line.contains(what)) {
            assert!(begun.elapsed() < PATIENCE, "it does not say {what:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("bound").port()
}

/// Writes what an operator's client needs; gives its words.
fn operator(folder: &Path, issued: &Issued) -> [String; 4] {
    let (certificate, key) = (folder.join("operator.pem"), folder.join("operator.key"));
    std::fs::write(&certificate, &issued.certificate).expect("written");
    std::fs::write(&key, &issued.key).expect("written");
    ["--cert".into(), certificate.display().to_string(), "--key".into(), key.display().to_string()]
}

#[test]
fn curl_and_openssl_agree_with_the_server_on_http_2_and_on_no_old_version() {
    let authority = Authority::new("ours");
    let server = Server::start(&authority, |folder| authority.server(4000).write(folder));
    let ca = server.tls().join("ca.pem");
    let models = format!("https://{}/v1/models", server.public);
    let bearer = format!("authorization: Bearer {}", server.key);
    for (version, head) in [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")] {
        let (status, told) = server.curl(&ca, &[version, "--header", &bearer], &models);
        assert!(status.success() && told.starts_with(head), "{told}");
        assert!(told.contains("strict-transport-security: max-age=31536000"), "{told}");
    }
    let (status, told) = server.curl(&ca, &["--request-target", "/v1/nothing"], &models);
    assert!(
        status.success() && told.contains(" 404") && told.contains("strict-transport-security"),
        "{told}"
    );
    for (version, is_there) in [("-tls1_2", true), ("-tls1_3", true), ("-tls1_1", false), ("-tls1", false)] {
        let output = server.s_client(&[version, "-alpn", "h2,http/1.1", "-verify_return_error"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.success(), is_there, "{version}: {told}{}", text(&output.stderr));
        if is_there {
            assert!(told.contains("ALPN protocol: h2") && told.contains("Verify return code: 0"), "{told}");
        }
    }
    let (status, told) = server.curl(&ca, &[], &models.replace("https://", "http://"));
    assert!(!status.success() || !told.contains("HTTP/1.1 2"), "plain HTTP is not spoken here: {told}");
    let strangers = Authority::new("strangers");
    let other = server.tls().join("strangers.pem");
    std::fs::write(&other, strangers.pem()).expect("written");
    let (status, told) = server.curl(&other, &[], &models);
    assert_eq!(status.code(), Some(60), "curl does not trust it: {told}");
}

#[test]
fn operators_without_a_certificate_of_their_authority_see_no_metrics() {
    let authority = Authority::new("ours");
    let server = Server::start(&authority, |folder| authority.server(4000).write(folder));
    let ca = server.tls().join("ca.pem");
    let metrics = format!("https://{}/metrics", server.admin);
    let (status, told) = server.curl(&ca, &[], &metrics);
    assert!(!status.success() && !told.contains("atelier_"), "{told}");
    let strange = operator(server.folder.path(), &Authority::new("strangers").client());
    let (status, told) = server.curl(&ca, &strange.each_ref().map(String::as_str), &metrics);
    assert!(!status.success() && !told.contains("atelier_"), "{told}");
    let ours = operator(server.folder.path(), &authority.client());
    let (status, told) = server.curl(&ca, &ours.each_ref().map(String::as_str), &metrics);
    assert!(status.success(), "{told}");
    let sample = |name: &str| {
        let line =
            told.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {told}"));
        line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")
    };
    let failed = |reason: &str| {
        sample(&format!("atelier_tls_handshakes_failed_total{{listener=\"admin\",reason=\"{reason}\"}}"))
    };
    assert_eq!((failed("no_client_certificate"), failed("bad_client_certificate")), (1.0, 1.0));
    assert!(sample("atelier_tls_certificate_days{listener=\"server\"}") > 300_000.0);
    assert_eq!(sample("atelier_tls_reloads_total{listener=\"server\",outcome=\"taken\"}"), 0.0);
}

#[test]
fn a_hangup_signal_loads_a_renewed_certificate_at_once() {
    let authority = Authority::new("ours");
    let server = Server::start(&authority, |folder| authority.server(4000).write(folder));
    let others = Authority::new("others");
    let other_ca = server.tls().join("others.pem");
    std::fs::write(&other_ca, others.pem()).expect("written");
    let url = format!("https://{}/favicon.ico", server.public);
    assert!(!server.curl(&other_ca, &[], &url).0.success());
    let hang_up = || kill_process(Pid::from_child(&server.child), Signal::HUP).expect("it runs");
    std::fs::write(server.tls().join("certificate.pem"), "broken").expect("written");
    hang_up();
    server.says("cannot be used: the one before it stays");
    assert!(server.curl(&server.tls().join("ca.pem"), &[], &url).0.success(), "it goes on with the old one");
    others.server(4000).write(&server.tls());
    hang_up();
    server.says("a new certificate is used");
    let begun = Instant::now();
    // The two listeners read their files one after another.
    while !server.curl(&other_ca, &[], &url).0.success() {
        assert!(begun.elapsed() < PATIENCE);
    }
}

#[test]
fn the_command_line_reaches_a_server_with_tls_and_no_other_in_its_place() {
    let authority = Authority::new("ours");
    let server = Server::start(&authority, |folder| authority.server(4000).write(folder));
    let run = |words: &[&str]| {
        let output =
            atelier(words).arg("--config").arg(&server.config).env("ATELIER_KEY", &server.key).output();
        let output = output.expect("it runs");
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let (ok, told) = run(&["user", "list"]);
    assert!(ok && told.contains("admin"), "{told}");
    let (_, told) = run(&["doctor"]);
    assert!(told.contains("certificate.pem is good for"), "{told}");
    assert!(told.contains("wants a certificate of its clients"), "{told}");
    assert!(told.contains("`chmod 600` it"), "the key is for everybody: {told}");
    // The file no longer says what the server shows: whoever that is.
    authority.server(4000).write(&server.tls());
    let (ok, told) = run(&["user", "list"]);
    assert!(!ok && !told.contains("admin "), "{told}");
}

#[test]
fn an_rsa_key_as_openssl_has_always_written_it_is_read() {
    let authority = Authority::new("none");
    let server = Server::start(&authority, |folder| {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"])
            .args([
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-keyout",
                "new.pem",
                "-out",
                "ca.pem",
            ])
            .current_dir(folder)
            .output()
            .expect("openssl is there");
        assert!(made.status.success(), "{}", text(&made.stderr));
        let old = Command::new("openssl")
            .args(["rsa", "-traditional", "-in", "new.pem", "-out", "key.pem"])
            .current_dir(folder)
            .output()
            .expect("openssl is there");
        assert!(old.status.success(), "{}", text(&old.stderr));
        let key = std::fs::read_to_string(folder.join("key.pem")).expect("a key");
        assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----"), "{key}");
        std::fs::copy(folder.join("ca.pem"), folder.join("certificate.pem")).expect("copied");
    });
    let output = server.s_client(&["-verify_return_error", "-tls1_2"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_listener_that_others_can_reach_without_tls_is_a_mistake_that_is_told_with_all_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("host");
    assert!(atelier(&["init"]).arg(&dir).output().expect("it runs").status.success());
    let config = dir.join("atelier.toml");
    let init = std::fs::read_to_string(&config).expect("the configuration");
    let open = init.replace("127.0.0.1:8484", "0.0.0.0:0").replace("127.0.0.1:8485", "[::]:0");
    let mut file = std::fs::File::create(&config).expect("opened");
    let tls = "[server.tls]\nclient_ca = \"x\"\n[admin.tls]\ncertificate = \"tls/none.pem\"\nkey = \"k\"\n";
    file.write_all(format!("{open}\n{tls}").as_bytes()).expect("written");
    let serve = || atelier(&["serve", "--config"]).arg(&config).output().expect("it runs");
    let refused = serve();
    let told = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(64), "{told}");
    for what in [
        "server.listen: 0.0.0.0:0 can be reached from other machines, without TLS",
        "server.tls.client_ca: is not a setting",
        "admin.tls.certificate: ",
    ] {
        assert!(told.contains(what), "{what}: {told}");
    }
    std::fs::write(&config, open).expect("written");
    let told = text(&serve().stderr);
    assert!(told.contains("server.listen") && told.contains("admin.listen"), "{told}");
    let doctor = atelier(&["doctor", "--config"]).arg(&config).output().expect("it runs");
    assert!(text(&doctor.stderr).contains("insecure_http = true"), "{}", text(&doctor.stderr));
}
