//! A running host: started, waited for, and ended by the command that needs it.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{process, progress::say, workspace::Workspace};

/// Compiling plugins at first start is the longest part of it.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// The host's own drain deadline, and some more.
const STOP_LIMIT: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(20);
/// How much of the log explains a failure.
const TAIL_LINES: usize = 30;
const LOG_BYTES_MAX: usize = 64 << 10;

/// A host that this process started. Dropped, it is killed; [`Host::stop`] ends it in an orderly way.
#[derive(Debug)]
pub struct Host {
    child: Child,
    log: PathBuf,
}

/// Build the host binary (development profile) and return its path.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    say("host: cargo build");
    let mut cargo = process::cargo();
    // The whole workspace's features, as the tests select them: nothing is compiled again for those.
    cargo.args(["build", "--workspace", "--bin", "atelier"]).current_dir(workspace.root());
    process::run(&mut cargo)?;
    Ok(workspace.target().join("debug/atelier"))
}

/// Build all binaries as the tests have built them, so that nothing is compiled twice, and return their folder.
pub fn build_with_tests(workspace: &Workspace) -> Result<PathBuf> {
    say("binaries: cargo build");
    let mut cargo = process::cargo();
    cargo.args(["build", "--workspace", "--bins", "--tests"]).current_dir(workspace.root());
    process::run(&mut cargo)?;
    Ok(workspace.target().join("debug"))
}

/// `atelier init DIR`; returns the first administrator's key.
pub fn init(binary: &Path, dir: &Path) -> Result<String> {
    say(format_args!("host: init {}", dir.display()));
    let printed = process::capture(Command::new(binary).arg("init").arg(dir))?;
    let key = printed.lines().find_map(|line| line.strip_prefix("key: "));
    Ok(key.context("`atelier init` printed no line `key: …`")?.trim().to_owned())
}

/// `atelier plugin install FILE`, for a host that is not running; installing what is installed changes nothing.
pub fn install(binary: &Path, config: &Path, plugin: &Path) -> Result<()> {
    say(format_args!("host: plugin install {}", plugin.display()));
    process::capture(
        Command::new(binary).args(["plugin", "install", "--yes", "--config"]).arg(config).arg(plugin),
    )
    .map(drop)
}

/// The address asked for, with a free port in place of 0, if nobody else listens there.
pub fn free_address(wanted: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind(wanted)
        .with_context(|| format!("cannot listen on {wanted}: give another address with --listen"))?;
    Ok(listener.local_addr()?)
}

/// Set when this process is told to end, so that the host it started ends first.
pub fn interruption() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag)).context("cannot handle signals")?;
    }
    Ok(flag)
}

impl Host {
    /// `atelier serve --config CONFIG`, its output going to `log`; returns once `GET /health/ready` on `admin` is 200.
    pub fn start(
        binary: &Path,
        config: &Path,
        log: &Path,
        admin: SocketAddr,
        interrupted: &AtomicBool,
    ) -> Result<Self> {
        say(format_args!("host: serve --config {}", config.display()));
        Self::launch(binary, config, log)?.until_ready(log, admin, interrupted)
    }

    /// Returns it once `GET /health/ready` on `admin` is 200.
    pub fn until_ready(self, log: &Path, admin: SocketAddr, interrupted: &AtomicBool) -> Result<Self> {
        let mut host = self;
        match host.wait_until_ready(admin, interrupted) {
            Ok(()) => Ok(host),
            Err(error) => {
                let tail = tail(log)?;
                Err(error.context(format!("the host is not ready; the end of {}:\n{tail}", log.display())))
            }
        }
    }

    /// Like [`Host::start`], but returns at once and says nothing.
    pub fn launch(binary: &Path, config: &Path, log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new(binary)
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Block until the host ends by itself, or `interrupted` is set.
    pub fn wait(&mut self, interrupted: &AtomicBool) -> Result<()> {
        while !interrupted.load(Ordering::Relaxed) {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the host ended with {status}; the end of {}:\n{}",
                    self.log.display(),
                    tail(&self.log)?
                );
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// SIGKILL: it ends in the middle of whatever it does.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().context("cannot kill the host")?;
        self.child.wait().map(drop).context("cannot wait for the host")
    }

    /// SIGTERM, and wait for the orderly end.
    pub fn stop(mut self) -> Result<()> {
        say("host: stopping");
        if self.child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM).context("cannot signal the host")?;
        }
        let started = Instant::now();
        while started.elapsed() < STOP_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                let log = self.log.display();
                ensure!(
                    status.success(),
                    "the host ended with {status}; the end of {log}:\n{}",
                    tail(&self.log)?
                );
                return Ok(());
            }
            thread::sleep(POLL);
        }
        bail!("the host did not end within {} s of SIGTERM and was killed", STOP_LIMIT.as_secs())
    }

    fn wait_until_ready(&mut self, admin: SocketAddr, interrupted: &AtomicBool) -> Result<()> {
        let agent = agent(Duration::from_secs(5));
        let url = format!("http://{admin}/health/ready");
        let started = Instant::now();
        let mut last = "no answer yet".to_owned();
        while started.elapsed() < READY_LIMIT {
            ensure!(!interrupted.load(Ordering::Relaxed), "interrupted");
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            match agent.get(&url).call() {
                Ok(response) if response.status() == 200 => return Ok(()),
                Ok(mut response) => {
                    let reasons =
                        response.body_mut().with_config().limit(LOG_BYTES_MAX as u64).read_to_string();
                    last = format!("{}: {}", response.status(), reasons.unwrap_or_default());
                }
                Err(error) => last = error.to_string(),
            }
            thread::sleep(POLL);
        }
        bail!("no 200 from {url} within {} s (last: {last})", READY_LIMIT.as_secs())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // After an orderly end there is nothing left to kill, and both calls say so.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client for loopback: no proxy, statuses are answers, and every wait has a limit.
pub fn agent(limit: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(2)))
        .timeout_global(Some(limit))
        .build()
        .new_agent()
}

fn tail(log: &Path) -> Result<String> {
    let bytes = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG_BYTES_MAX)..]).into_owned();
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}
