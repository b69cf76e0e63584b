//! `cargo xtask demo`: from a fresh clone to a first generation.

mod chat;
pub mod config;

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::AtomicBool,
};

use anyhow::{Context, Result};
use config::{Instance, Settings};

use crate::{
    cache::{Cache, write_private},
    dev_key,
    host::{self, Host},
    plugins, progress,
    progress::say,
    workspace::Workspace,
};

/// What the demonstration asks for. The model is in-house, and is reached through a plugin that speaks to this host.
const MODEL: &str = "loop/local/smollm2-135m-instruct";
const PROMPT: &str = "In two sentences: what is a sandbox in computing?";

/// Build everything, start a host, and generate text through a sandboxed plugin.
///
/// The `openai` plugin is configured as the instance `loop`, whose base URL is this host's own API: a request for
/// `loop/local/…` passes the API, the sandbox, the plugin and its egress, and comes back as a request for an in-house
/// model. Configuration, data and log lie in the cache folder (demo/); a second run uses them again.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Stop the host after the first generation instead of leaving it up
    #[arg(long)]
    once: bool,
    /// Where the API listens; the admin listener takes the next port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8484")]
    listen: SocketAddr,
}

/// Run the verb.
pub fn run(workspace: &Workspace, cache: &Cache, options: &Options) -> Result<ExitCode> {
    let binary = host::build(workspace)?;
    let build = plugins::Options { only: vec!["openai".to_owned()], ..plugins::Options::default() };
    plugins::build(workspace, cache, &build)?;

    let interrupted = host::interruption()?;
    let listen = host::free_address(options.listen)?;
    let admin = host::free_address(SocketAddr::new(listen.ip(), listen.port().saturating_add(1)))?;
    let (dir, key) = initialised(cache, &binary)?;
    let work = Work { dir: dir.join("host"), log: dir.join("host.log"), key_file: dir.join("key") };
    let started = work.start(workspace, cache, &binary, (listen, admin), &interrupted);
    let mut host = started.with_context(|| format!("to begin anew, remove {}", dir.display()))?;
    let setup_s = progress::elapsed_s();
    say(format_args!("demo: ready; asking {MODEL}: {PROMPT}"));

    let mut stdout = std::io::stdout().lock();
    let figures = chat::stream(listen, &key, MODEL, PROMPT, &mut stdout)?;
    writeln!(stdout, "\n\n{}", figures.row(setup_s))?;
    drop(stdout);
    if !options.once {
        println!("{}", invitation(listen, &key));
        host.wait(&interrupted)?;
    }
    host.stop()?;
    Ok(ExitCode::SUCCESS)
}

/// A folder that `atelier init` made, and what a run of the host there needs.
#[derive(Debug)]
struct Work {
    /// With atelier.toml in it.
    dir: PathBuf,
    /// Where the host's output goes.
    log: PathBuf,
    /// Holds the administrator's key.
    key_file: PathBuf,
}

impl Work {
    /// Configure the host, install the `openai` plugin, and start; `addresses` are the API's and the admin listener's.
    fn start(
        &self,
        workspace: &Workspace,
        cache: &Cache,
        binary: &Path,
        addresses: (SocketAddr, SocketAddr),
        interrupted: &AtomicBool,
    ) -> Result<Host> {
        let (listen, admin) = addresses;
        let trusted_key = dev_key::open(cache)?.pair.pk.to_base64();
        let instances = vec![Instance::of_this_host(listen, self.key_file.clone())];
        let settings = Settings {
            listen,
            admin,
            trusted_key,
            instances,
            limits: Vec::new(),
            receivers: Vec::new(),
            others: Vec::new(),
            prices: Vec::new(),
            mail: None,
        };
        let path = settings.write(&self.dir)?;
        host::install(binary, &path, &plugins::file(workspace, "openai")?)?;
        Host::start(binary, &path, &self.log, admin, interrupted)
    }
}

/// The demonstration's folder and the administrator's key, made on the first run.
fn initialised(cache: &Cache, binary: &Path) -> Result<(PathBuf, String)> {
    let dir = cache.folder("demo", |dir| {
        let key = host::init(binary, &dir.join("host"))?;
        write_private(&dir.join("key"), key.as_bytes())
    })?;
    let key = fs::read_to_string(dir.join("key"))
        .with_context(|| format!("remove {} to begin anew", dir.display()))?;
    Ok((dir, key))
}

fn invitation(listen: SocketAddr, key: &str) -> String {
    format!(
        "The host stays up until Ctrl-C.\n\n  URL  http://{listen}/v1\n  key  {key}\n\n\
         curl -N http://{listen}/v1/chat/completions \\\n  -H 'Authorization: Bearer {key}' \\\n  \
         -H 'Content-Type: application/json' \\\n  \
         -d '{{\"model\":\"{MODEL}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello!\"}}]}}'\n"
    )
}
