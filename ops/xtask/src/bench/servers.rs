//! The servers that are compared, each started by this process and ended by it.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{subject::Subject, tools::Tools};
use crate::host;

const START_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at a server that starts.
pub const POLL: Duration = Duration::from_millis(50);
/// The key that the peers pass on; the mock takes any.
const ANY_KEY: &str = "sk-bench";
/// The model that the mock upstream serves.
const MODEL: &str = "mock-chat";

/// A process that is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
}

impl Server {
    fn start(mut command: Command, log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self { child })
    }

    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx's workers end when their master is told to; a killed master would leave them.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw)
            && rustix::process::kill_process(pid, rustix::process::Signal::TERM).is_ok()
        {
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(5) {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                thread::sleep(POLL);
            }
        }
        // It may have ended by itself, and both calls say so then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port of the loopback.
pub fn free() -> Result<SocketAddr> {
    host::free_address(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// nginx as a plain proxy: keep-alive on both sides, no log, nothing but forwarding.
pub fn nginx(tools: &Tools, scratch: &Path, upstream: SocketAddr) -> Result<(Server, Subject)> {
    let address = free()?;
    let dir = scratch.join("nginx");
    fs::create_dir_all(&dir)?;
    let config = dir.join("nginx.conf");
    let d = dir.display();
    fs::write(
        &config,
        format!(
            "worker_processes 2;\ndaemon off;\npid {d}/pid;\nerror_log {d}/error.log warn;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n  access_log off;\n  keepalive_requests 100000000;\n\
             \x20 client_body_temp_path {d}/body;\n  proxy_temp_path {d}/proxy;\n  fastcgi_temp_path {d}/fastcgi;\n\
             \x20 uwsgi_temp_path {d}/uwsgi;\n  scgi_temp_path {d}/scgi;\n\
             \x20 upstream mock {{ server {upstream}; keepalive 256; keepalive_requests 100000000; }}\n\
             \x20 server {{\n    listen {address};\n    location / {{\n      proxy_pass http://mock;\n\
             \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_buffering off;\n    }}\n  }}\n}}\n"
        ),
    )?;
    let mut command = tools.nginx();
    command.arg("-p").arg(&dir).arg("-c").arg(&config);
    let server = Server::start(command, &dir.join("log"))?;
    let subject = peer("nginx", address, server.process());
    until_answered(&subject, POLL)?;
    Ok((server, subject))
}

/// sglang-router with the mock as its one worker.
pub fn sglang_router(tools: &Tools, scratch: &Path, upstream: SocketAddr) -> Result<(Server, Subject)> {
    let (address, metrics) = (free()?, free()?);
    let mut command = tools.sglang_router();
    command
        .args(["--worker-urls", &format!("http://{upstream}"), "--policy", "round_robin"])
        .args(["--host", "127.0.0.1", "--port", &address.port().to_string()])
        .args(["--prometheus-host", "127.0.0.1", "--prometheus-port", &metrics.port().to_string()])
        .args(["--log-level", "warn"]);
    let server = Server::start(command, &scratch.join("sglang-router.log"))?;
    let subject = peer("sglang-router", address, server.process());
    until_answered(&subject, POLL)?;
    Ok((server, subject))
}

/// The mock upstream itself, without anything between: what the others are measured against.
pub fn direct(upstream: SocketAddr, process: u32) -> Subject {
    peer("direct", upstream, process)
}

/// The mock upstream; `arguments` choose its mode.
pub fn mock(binaries: &Path, scratch: &Path, name: &str, arguments: &[&str]) -> Result<(Server, SocketAddr)> {
    let address = free()?;
    let mut command = Command::new(binaries.join("mock-upstream"));
    command.args(["--listen", &address.to_string()]).args(arguments);
    let server = Server::start(command, &scratch.join(format!("{name}.log")))?;
    until_listening(address)?;
    Ok((server, address))
}

fn peer(name: &'static str, address: SocketAddr, process: u32) -> Subject {
    Subject { name, address, model: MODEL, key: ANY_KEY.to_owned(), process }
}

/// Ask for a chat completion until one succeeds, with a pause between two attempts.
pub fn until_answered(subject: &Subject, pause: Duration) -> Result<()> {
    let agent = host::agent(Duration::from_secs(10));
    let started = Instant::now();
    let mut last = "no answer".to_owned();
    while started.elapsed() < START_LIMIT {
        let answer = agent
            .post(subject.chat_url())
            .header("authorization", format!("Bearer {}", subject.key))
            .header("content-type", "application/json")
            .send(subject.body(false));
        match answer {
            Ok(answer) if answer.status() == 200 => return Ok(()),
            Ok(mut answer) => {
                let text = answer.body_mut().with_config().limit(64 << 10).read_to_string();
                last = format!("{}: {}", answer.status(), text.unwrap_or_default());
            }
            Err(error) => last = error.to_string(),
        }
        thread::sleep(pause);
    }
    anyhow::bail!("{} did not answer within {} s: {last}", subject.name, START_LIMIT.as_secs())
}

fn until_listening(address: SocketAddr) -> Result<()> {
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        ensure!(started.elapsed() < START_LIMIT, "nothing listens on {address}");
        thread::sleep(POLL);
    }
    Ok(())
}

/// An empty folder for configurations, data and logs of a run.
pub fn scratch(target: &Path, name: &str) -> Result<PathBuf> {
    let dir = target.join("bench").join(name);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(&dir)?;
    Ok(dir)
}
