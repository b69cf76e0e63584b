//! `atelier plugin test`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use atelier_authoring::bench::{Bench, BenchConfig, RecordFrom};
use atelier_authoring::cases::Cases;
use atelier_authoring::conformance;
use atelier_authoring::exchange::Exchanges;
use atelier_domain::plugin::SecretValue;
use plugin_build::cache::{Cache, write_whole};

use crate::config::Config;
use crate::plugin_host;

/// Runs the plugin's file in the host's own sandbox, with a clock and randomness that never change, against a server that replays
/// DIR/tests/exchanges/*.json, and then misbehaves: refusals, a cut connection, small pieces, malformed JSON, a caller who leaves.
/// DIR/tests/conformance.toml says what is asked for. Prints a line for each check, with what was expected and what came, and what
/// the calls used of their limits. Fails if a check does.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Test {
    /// The plugin's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The plugin's file [default: target/plugins/NAME-VERSION.wasm in the folder, as `build` leaves it]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Take the limits of [sandbox] in this configuration [default: those that `atelier init` writes]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask a real provider and write what it answers to tests/exchanges; this may cost money. No secret is written
    #[arg(long, requires = "base_url")]
    record: bool,
    /// The provider to record from
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// A secret to record with, and the environment variable that holds it
    #[arg(long = "secret", value_name = "NAME=VARIABLE", requires = "record")]
    secrets: Vec<String>,
    /// The provider to record from may be on a private network, or without TLS
    #[arg(long, requires = "record")]
    private: bool,
}

impl Test {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let tests = self.dir.join("tests");
        let exchanges = tests.join("exchanges");
        let cases = Cases::read(&tests.join("conformance.toml"))?;
        let limits = match &self.config {
            Some(file) => Config::load(file)?.sandbox,
            None => Config::shipped()?.sandbox,
        };
        let file = self.plugin_file()?;
        let config = BenchConfig {
            file,
            profile: plugin_host::profile(&limits),
            artefacts: Cache::open()?.path("compiled"),
            compiler: plugin_host::compiler()?,
            instance: cases.instance.clone(),
            exchanges: if self.record { Exchanges::default() } else { Exchanges::read(&exchanges)? },
            record: self.record_from()?,
        };
        // In the runtime's context: the sandbox has connections of its own.
        let bench = tokio::task::spawn_blocking(move || Bench::new(config)).await??;
        if self.record {
            return record(&bench, cases, tests, &exchanges).await;
        }
        let report = conformance::run(&bench, cases, tests).await?;
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&report)?),
            false => println!("{report}"),
        }
        Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn plugin_file(&self) -> anyhow::Result<PathBuf> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let path = self.dir.join("manifest.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest = atelier_authoring::build::manifest(&text)?;
        let file = self.dir.join("target/plugins").join(manifest.file_name()?);
        ensure!(
            file.is_file(),
            "there is no {}: run `atelier plugin build {}` first, or name the file with --file",
            file.display(),
            self.dir.display()
        );
        Ok(file)
    }

    fn record_from(&self) -> anyhow::Result<Option<RecordFrom>> {
        let (true, Some(base_url)) = (self.record, self.base_url.clone()) else { return Ok(None) };
        let mut secrets = BTreeMap::new();
        for pair in &self.secrets {
            let Some((name, variable)) = pair.split_once('=') else {
                bail!("--secret reads NAME=VARIABLE, not {pair:?}");
            };
            let value = std::env::var(variable)
                .with_context(|| format!("the variable {variable} of --secret {name}"))?;
            secrets.insert(name.to_owned(), SecretValue::new(value));
        }
        Ok(Some(RecordFrom { base_url, secrets, private: self.private }))
    }
}

/// Writes one file for each interface, and says which.
async fn record(bench: &Bench, cases: Cases, tests: PathBuf, folder: &Path) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for (interface, recorded) in conformance::record(bench, cases, tests).await? {
        let file = folder.join(format!("{interface}.json"));
        match recorded {
            Ok(recorded) => {
                let mut text = serde_json::to_string_pretty(&recorded.0)?;
                text.push('\n');
                write_whole(&file, text.as_bytes())?;
                println!("{} ({} exchanges)", file.display(), recorded.0.len());
            }
            Err(why) => {
                code = ExitCode::FAILURE;
                println!("{interface} was not recorded: {why}");
            }
        }
    }
    Ok(code)
}
