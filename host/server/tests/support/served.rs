//! The binary, started over a configuration of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What it says on standard error, line by line.
pub type Log = Arc<Mutex<Vec<String>>>;

/// A folder with a configuration, as `atelier init` makes it.
pub struct Prepared {
    pub folder: tempfile::TempDir,
    pub config: PathBuf,
    /// An administrator's key.
    pub key: String,
}

/// Makes a folder, its configuration changed.
pub fn prepared(change: impl FnOnce(String) -> String) -> Prepared {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("host");
    let init = Command::new(env!("CARGO_BIN_EXE_atelier")).arg("init").arg(&dir).output().expect("it runs");
    let printed = String::from_utf8_lossy(&init.stdout).into_owned();
    let key = printed.lines().find_map(|line| line.strip_prefix("key: ")).expect("a key").to_owned();
    let config = dir.join("atelier.toml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, change(text)).expect("written");
    Prepared { folder, config, key }
}

/// A configuration whose listeners take ports of the system's choice.
pub fn on_free_ports(text: &str) -> String {
    text.replace("127.0.0.1:8484", "127.0.0.1:0").replace("127.0.0.1:8485", "127.0.0.1:0")
}

/// The part of a configuration that trusts `atelier`'s plugins signed by this public key.
pub fn trusting(key: &str) -> String {
    format!("[[plugins.trusted_keys]]\npublisher = \"atelier\"\nkey = \"{key}\"\n")
}

/// A running server. Whoever has it ends it.
pub struct Served {
    pub child: Child,
    /// `http://ADDRESS` of the callers' listener and of the operators'.
    pub base: String,
    #[allow(dead_code, reason = "not every test binary asks as an operator")]
    pub admin: String,
    #[allow(dead_code, reason = "not every test binary reads the log")]
    pub reader: JoinHandle<()>,
}

impl Served {
    /// Starts it, with more in its environment; what it says goes to the end of the log.
    pub fn start(config: &Path, environment: &[(&str, &str)], log: &Log) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_atelier"))
            .args(["serve", "--config"])
            .arg(config)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut errors = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut first = Vec::new();
        let told = errors.by_ref().map(|line| line.expect("text")).inspect(|line| first.push(line.clone()));
        let line =
            { told }.find(|line| line.contains("atelier listens on")).expect("it says where it listens");
        let mut addresses = line.split(['(', ')', ' ']).filter(|word| word.starts_with("http://"));
        let mut address = || addresses.next().expect("two addresses").to_owned();
        let (base, admin) = (address(), address());
        log.lock().expect("no reader panics").extend(first);
        let lines = log.clone();
        // What it says later is read, so that it never waits for a reader.
        let reader = std::thread::spawn(move || {
            for line in errors.map_while(Result::ok) {
                lines.lock().expect("no reader panics").push(line);
            }
        });
        Self { child, base, admin, reader }
    }
}

/// A plugin's file.
pub fn built(name: &str) -> PathBuf {
    let folder = std::env::var_os("ATELIER_PLUGINS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"), PathBuf::from);
    let file = folder.join(name);
    assert!(file.is_file(), "{} is missing: run `cargo xtask plugins`", file.display());
    file
}

/// The development public key: the second line of its file.
pub fn dev_key() -> String {
    let file = std::env::var_os("ATELIER_DEV_KEY").expect("ATELIER_DEV_KEY names the development public key");
    let text = std::fs::read_to_string(file).expect("the key");
    text.lines().nth(1).expect("two lines").to_owned()
}
