//! The client suites: unmodified client libraries against a running host whose providers are the mock upstream.
//!
//! A suite finds the host through ATELIER_BASE_URL (up to and without `/v1`) and ATELIER_API_KEY, and the mock upstream,
//! which it steers and checks as well, through MOCK_BASE_URL. At ATELIER_WEBHOOK_RECEIVER it may receive webhooks, and at
//! ATELIER_MAIL_SERVER the host's mail, with the certificate and key in ATELIER_MAIL_CERTIFICATE. In the folder
//! ATELIER_SPARE_PLUGINS are plugins to install. The host's metrics are at ATELIER_METRICS_URL, and
//! Prometheus' own checker of such texts at PROMTOOL.

mod resumption;
mod setup;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    apt::Apt, cache::Cache, demo::config::MailServer, host, mock::Mock, node_packages, process,
    progress::say, promises::Reports, python_venv, workspace::Workspace,
};

const SUITE_LIMIT: Duration = Duration::from_secs(900);
/// What the suite's mail server lets in (`mailbox.py`).
const MAIL_LOGIN: (&str, &str) = ("atelier", "orchard wall 9");

/// Run the suites that are there.
pub fn run(workspace: &Workspace, cache: &Cache) -> Result<()> {
    let python = workspace.root().join("ops/clients/python");
    let node = workspace.root().join("ops/clients/node");
    let interrupted = host::interruption()?;
    let binaries = host::build_with_tests(workspace)?;
    let binary = binaries.join("atelier");
    let mock = Mock::start(&binaries.join("mock-upstream"), &["--webhook-secret", setup::WEBHOOK_SECRET])?;
    // Fresh data each time: what one run left must not decide the next.
    let dir = workspace.target().join("clients");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(&dir)?;
    let key = host::init(&binary, &dir.join("host"))?;
    let venv = python_packages(cache, &python)?;
    let mut certificates = Command::new(venv.join("bin/python"));
    process::run(certificates.arg(python.join("certificates.py")).arg(&dir))?;
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let (listen, admin) = (host::free_address(any_port)?, host::free_address(any_port)?);
    let receiver = host::free_address(any_port)?;
    let mail =
        MailServer { address: host::free_address(any_port)?, ca: dir.join("mail-ca.pem"), login: MAIL_LOGIN };
    let mail_server = mail.address;
    let settings = setup::settings(cache, (listen, admin), mock.address(), receiver, mail)?;
    let config = settings.write(&dir.join("host"))?;
    for plugin in setup::plugin_files(workspace)? {
        host::install(&binary, &config, &plugin)?;
    }
    let spare_plugins = dir.join("plugins");
    setup::spare_plugins(workspace, cache, &spare_plugins)?;
    let host = host::Host::start(&binary, &config, &dir.join("host.log"), admin, &interrupted)?;
    let suite = Suite {
        base_url: format!("http://{listen}"),
        metrics_url: format!("http://{admin}/metrics"),
        promtool: promtool(cache)?,
        key,
        mock_url: mock.url(),
        receiver,
        spare_plugins,
        mail: (mail_server, dir.join("mail.pem")),
        report: Reports::of(workspace).python,
    };
    // What one client finds does not hide what the other does.
    let scripts = Suite::node_scripts(cache, &node)?;
    let outcomes = [suite.python(&venv, &python), suite.node(&scripts)];
    outcomes.into_iter().collect::<Result<()>>()?;
    let feed = resumption::Feed { base_url: &suite.base_url, key: &suite.key, scripts: &scripts };
    let restart = |life: u32| {
        let log = dir.join(format!("host-{life}.log"));
        host::Host::launch(&binary, &config, &log)?.until_ready(&log, admin, &interrupted)
    };
    resumption::check(feed, host, restart)?.stop()
}

/// What the Python suite runs with.
fn python_packages(cache: &Cache, dir: &Path) -> Result<PathBuf> {
    let requirements = fs::read_to_string(dir.join("requirements.txt"))
        .with_context(|| format!("{} needs a requirements.txt with pytest in it", dir.display()))?;
    python_venv::open(cache, "clients", &requirements)
}

/// Prometheus' program, from its Debian package.
fn promtool(cache: &Cache) -> Result<PathBuf> {
    let dir = cache.folder("promtool", |dir| {
        let (apt, packages) = (Apt::new(dir)?, ["prometheus".to_owned()]);
        apt.download(&packages)?;
        apt.unpack(&packages, &dir.join("root"))
    })?;
    Ok(dir.join("root/usr/bin/promtool"))
}

struct Suite {
    base_url: String,
    metrics_url: String,
    promtool: PathBuf,
    key: String,
    mock_url: String,
    receiver: SocketAddr,
    spare_plugins: PathBuf,
    /// Where the mail server is to be, and the file with its certificate and key.
    mail: (SocketAddr, PathBuf),
    /// What the Python suite is to leave.
    report: PathBuf,
}

impl Suite {
    fn python(&self, venv: &Path, dir: &Path) -> Result<()> {
        say("test: clients: pytest");
        let mut pytest = Command::new(venv.join("bin/python"));
        pytest.args(["-m", "pytest", "-p", "no:cacheprovider"]);
        pytest.arg("--junitxml").arg(&self.report).env("PYTHONDONTWRITEBYTECODE", "1");
        process::run_within(self.told(pytest.current_dir(dir)), SUITE_LIMIT)
    }

    /// The suite for Node, beside its packages: modules are looked for from the importing file upwards.
    fn node_scripts(cache: &Cache, dir: &Path) -> Result<PathBuf> {
        let installed = node_packages::open(cache, "clients", dir)?;
        let tests = installed.join("suite");
        if tests.exists() {
            fs::remove_dir_all(&tests)?;
        }
        fs::create_dir(&tests)?;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), tests.join(entry.file_name()))?;
            }
        }
        Ok(tests)
    }

    fn node(&self, scripts: &Path) -> Result<()> {
        say("test: clients: node --test");
        // One file at a time: they share the mock upstream's record.
        let mut runner = Command::new("node");
        runner.args(["--test", "--test-concurrency=1"]).current_dir(scripts);
        process::run_within(self.told(&mut runner), SUITE_LIMIT)
    }

    fn told<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("ATELIER_BASE_URL", &self.base_url)
            .env("ATELIER_API_KEY", &self.key)
            .env("ATELIER_METRICS_URL", &self.metrics_url)
            .env("PROMTOOL", &self.promtool)
            .env("MOCK_BASE_URL", &self.mock_url)
            .env("ATELIER_WEBHOOK_RECEIVER", self.receiver.to_string())
            .env("ATELIER_SPARE_PLUGINS", &self.spare_plugins)
            .env("ATELIER_MAIL_SERVER", self.mail.0.to_string())
            .env("ATELIER_MAIL_CERTIFICATE", &self.mail.1)
            // The clients honour a proxy of the environment, which does not lead here.
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1")
    }
}
