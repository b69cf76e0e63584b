//! The configuration: `atelier.toml`, then the environment (`ATELIER_SECTION__KEY`), checked as a whole before anything
//! is opened.

mod accounts;
mod batches;
mod conversations;
mod errors;
mod events;
mod jobs;
mod limits;
mod local;
mod mail;
mod models;
mod moderation;
mod money;
mod plugins;
mod reader;
mod responses;
mod sandbox;
mod sealing;
mod secret;
mod server;
pub mod template;
mod tls;
mod traces;

use std::fmt;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use figment::value::Dict;
use toml_edit::DocumentMut;

pub use accounts::Accounts;
pub use conversations::Conversations;
pub use errors::Errors;
pub use events::{Audit, Callbacks, Events, Webhooks};
pub use jobs::Jobs;
pub use limits::Limits;
pub use local::{Local, OwnModel, OwnWeights, Remote};
pub use mail::{Mail, MailSecurity};
pub use models::Models;
pub use plugins::{Plugins, TrustMode, TrustedKey};
pub use reader::{Mistake, Section};
pub use sandbox::Sandbox;
pub use sealing::Sealing;
pub use server::{Admin, Log, LogFormat, Server, Storage, Upstream};
pub use tls::Transport;
pub use traces::Traces;

use atelier_domain::plugin::InstanceConfig;
use atelier_service::batches::BatchLimits;
use atelier_service::ledger::LedgerSettings;
use atelier_service::responses::ResponseLimits;
use atelier_service::screening::ScreeningSettings;
use money::{Money, Price};

/// Exit code for a bad configuration (`EX_USAGE` of sysexits).
pub const EXIT_BAD_CONFIGURATION: u8 = 64;

/// Everything that the operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it was read from; `None` for what is shipped.
    pub file: Option<PathBuf>,
    pub server: Server,
    pub admin: Admin,
    pub upstream: Upstream,
    pub storage: Storage,
    pub plugins: Plugins,
    pub instances: Vec<InstanceConfig>,
    /// Secrets that could not be read: the instance starts without them and says so (P-5).
    pub missing_secrets: Vec<MissingSecret>,
    pub accounts: Accounts,
    /// Absent where this server sends no mail.
    pub mail: Option<Mail>,
    pub limits: Limits,
    pub conversations: Conversations,
    pub audit: Audit,
    pub events: Events,
    pub webhooks: Webhooks,
    pub callbacks: Callbacks,
    pub jobs: Jobs,
    pub batches: BatchLimits,
    pub responses: responses::Responses,
    pub sandbox: Sandbox,
    pub models: Models,
    /// Absent where prompts are not judged.
    pub moderation: Option<ScreeningSettings>,
    pub local: Local,
    pub money: LedgerSettings,
    pub log: Log,
    pub sealing: Sealing,
    /// Absent where nothing is traced.
    pub traces: Option<Traces>,
    /// Absent where nobody is told of errors.
    pub errors: Option<Errors>,
}

/// A secret that is configured and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSecret {
    pub instance: String,
    pub secret: String,
    /// What to do.
    pub reason: String,
}

/// All that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub struct BadConfiguration {
    /// The file.
    pub path: PathBuf,
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for BadConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.mistakes.len();
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} has {count} {noun}:", self.path.display())?;
        for mistake in &self.mistakes {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads the file and the environment.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn load(path: &Path) -> Result<Self, BadConfiguration> {
        let bad = |mistakes| BadConfiguration { path: path.to_owned(), mistakes };
        let one = |key: &str, what: String| bad(vec![Mistake { path: key.to_owned(), what }]);
        let text = std::fs::read_to_string(path).map_err(|error| {
            one("(file)", format!("{error}; make one with `atelier init DIR`, or name it with --config"))
        })?;
        let environment = Env::prefixed("ATELIER_").filter(|key| key.as_str().contains("__")).split("__");
        let config = Self::merged(&values_of(&text, path)?.merge(environment), path)?;
        Ok(Self { file: Some(path.to_owned()), ..config })
    }

    /// Bounds of kept answers.
    pub fn response_limits(&self) -> ResponseLimits {
        self.responses.limits(self.storage.quota.bytes)
    }

    /// What `atelier init` writes, as it is: for commands that need the shipped limits and no installation.
    ///
    /// # Errors
    /// The shipped configuration has a mistake: one of ours.
    pub fn shipped() -> Result<Self, BadConfiguration> {
        Self::parse(template::TEXT, Path::new("(shipped)"))
    }

    /// Reads a configuration's text alone, as if it lay at `path`: files that it names are looked for from there.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn parse(text: &str, path: &Path) -> Result<Self, BadConfiguration> {
        Self::merged(&values_of(text, path)?, path)
    }

    fn merged(values: &Figment, path: &Path) -> Result<Self, BadConfiguration> {
        let bad = |mistakes| BadConfiguration { path: path.to_owned(), mistakes };
        let values: Dict = values.extract().map_err(|error| {
            bad(error
                .into_iter()
                .map(|error| Mistake { path: error.path.join("."), what: error.kind.to_string() })
                .collect())
        })?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        Self::read(values, &folder).map_err(bad)
    }

    fn read(values: Dict, folder: &Path) -> Result<Self, Vec<Mistake>> {
        let mut root = Section::root(values);
        let mut missing_secrets = Vec::new();
        let server = root.section("server", |section| Server::read(section, folder));
        let admin = root.section("admin", |section| Admin::read(section, folder));
        let upstream = root.section("upstream", Upstream::read);
        let storage = root.section("storage", |section| Storage::read(section, folder));
        let plugins = root.section("plugins", Plugins::read);
        let mut instances =
            root.sections("instance", |section| plugins::instance(section, folder, &mut missing_secrets));
        let accounts = root.section("accounts", Accounts::read);
        let mail = root.section("mail", |section| Mail::read(section, folder));
        accounts.check_mail(&root, mail.as_ref());
        let limits = root.section("limits", Limits::read);
        let conversations = root.section("conversations", Conversations::read);
        let audit = root.section("audit", Audit::read);
        let events = root.section("events", Events::read);
        let webhooks = root.section("webhooks", Webhooks::read);
        let callbacks = root.section("callbacks", Callbacks::read);
        let jobs = root.section("jobs", Jobs::read);
        let batches = root.section("batches", |section| batches::read(section, server.drain_max));
        let responses = root.section("responses", responses::Responses::read);
        let sandbox = root.section("sandbox", Sandbox::read);
        let models = root.section("models", Models::read);
        let moderation = root.section("moderation", moderation::read);
        let local = root.section("local", |section| Local::read(section, folder));
        let money = root.section("money", Money::read);
        let prices = root.sections("price", Price::read);
        let money = money.with(prices, &mut root);
        let log = root.section("log", Log::read);
        let sealing = root.section("secrets", |section| Sealing::read(section, folder));
        let traces = root.section("traces", |section| Traces::read(section, folder));
        let errors = root.section("errors", |section| Errors::read(section, folder));
        plugins::check_names(&mut root, &mut instances, &local);
        let known = instances.iter().map(|instance| instance.name.as_str());
        let known: Vec<&str> =
            local.enabled.then_some(crate::local::INSTANCE).into_iter().chain(known).collect();
        models.check_instances(&root, &known);
        if let Some(moderation) = &moderation {
            moderation::check(moderation, &models.aliases, &known, &root);
        }
        let mistakes = root.finish();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            file: None,
            server,
            admin,
            upstream,
            storage,
            plugins,
            instances,
            missing_secrets,
            accounts,
            mail,
            limits,
            conversations,
            audit,
            events,
            webhooks,
            callbacks,
            jobs,
            batches,
            responses,
            sandbox,
            models,
            moderation,
            local,
            money,
            log,
            sealing,
            traces,
            errors,
        })
    }
}

/// What a file says. Of a mistake in its form only what and where is told: the line, as the parser would show it, may hold a secret.
fn values_of(text: &str, path: &Path) -> Result<Figment, BadConfiguration> {
    if let Err(error) = text.parse::<DocumentMut>() {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let what = format!("line {line}: {}", error.message().replace('\n', ", "));
        let mistakes = vec![Mistake { path: "(file)".to_owned(), what }];
        return Err(BadConfiguration { path: path.to_owned(), mistakes });
    }
    Ok(Figment::from(Toml::string(text)))
}

#[cfg(test)]
mod tests;
