//! `atelier plugin new|build|check|test|sign`: for those who write plugins.

mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use atelier_authoring::build::{BuildConfig, build};
use atelier_authoring::check::check;
use atelier_authoring::sign::{default_key, sign};
use atelier_authoring::template::{NewPlugin, Sdk};
use plugin_build::progress;
use plugin_build::toolchain::Source;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Author {
    /// Write a small plugin to begin with: it builds, and passes `check` and `test`, as it is
    New(New),
    /// Build a plugin's folder to one file, target/plugins/NAME-VERSION.wasm
    ///
    /// Compiles the crate for WebAssembly, makes it a component and puts its manifest into it. The WebAssembly target is taken
    /// from the active Rust toolchain, else from rustup, else from Debian's packages, which are unpacked into the cache folder
    /// and never installed.
    Build(Build),
    /// Read a plugin's file and tell everything that is wrong with it; nothing of it is run
    Check(Check),
    /// Hold a plugin against what the contract promises, in the host's own sandbox
    Test(test::Test),
    /// Sign a plugin's file, as FILE.minisig; makes the key if there is none
    Sign(Sign),
}

#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The folder to write: empty, or not there yet
    dir: PathBuf,
    /// The plugin's id, `publisher/name`
    #[arg(long)]
    id: String,
    /// What it can do, e.g. chat,speech
    #[arg(long, value_delimiter = ',', required = true)]
    capabilities: Vec<String>,
    /// The SDK: the folder plugin-sdk of Atelier's sources, or the URL of their git repository [default: the sources that this
    /// program was built from]
    #[arg(long, value_name = "PATH|URL")]
    sdk: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Build {
    /// The plugin's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Where the file goes [default: target/plugins in the plugin's folder]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Cargo's target folder [default: CARGO_TARGET_DIR, else target in the plugin's folder]
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    /// Take the WebAssembly target from here only [default: whichever works first]
    #[arg(long, value_name = "SOURCE")]
    toolchain: Option<Source>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The plugin: one .wasm file
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Sign {
    /// The plugin: one .wasm file
    file: PathBuf,
    /// The key pair, KEY.key and KEY.pub; the password of an encrypted one is read from ATELIER_SIGNING_PASSWORD
    /// [default: atelier/publisher in your configuration folder]
    #[arg(long)]
    key: Option<PathBuf>,
}

impl Author {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        progress::start();
        match self {
            Self::Test(test) => test.run().await,
            // Compiling takes its time, and blocks.
            other => tokio::task::spawn_blocking(move || other.at_once()).await?,
        }
    }

    fn at_once(self) -> anyhow::Result<ExitCode> {
        let mut passed = true;
        match self {
            Self::New(new) => new.run()?,
            Self::Build(options) => {
                let file = build(&BuildConfig {
                    dir: &options.dir,
                    output: options.output.as_deref(),
                    target: options.target_dir.as_deref(),
                    toolchain: options.toolchain,
                })?;
                println!("{}", file.display());
            }
            Self::Check(options) => {
                let findings = check(&options.file)?;
                passed = findings.passed();
                match options.json {
                    true => println!("{}", serde_json::to_string_pretty(&findings)?),
                    false => println!("{findings}"),
                }
            }
            Self::Sign(options) => options.run()?,
            Self::Test(_) => unreachable!("it is run by its caller"),
        }
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl New {
    fn run(self) -> anyhow::Result<()> {
        let sdk = match &self.sdk {
            Some(text) => Sdk::parse(text)?,
            None => Sdk::beside_this_program()?,
        };
        let from = match &sdk {
            Sdk::Path(path) => path.display().to_string(),
            Sdk::Git(url) => url.clone(),
        };
        let plugin = NewPlugin { id: self.id, capabilities: self.capabilities, sdk };
        for file in plugin.write(&self.dir)? {
            println!("{}", file.display());
        }
        let dir = self.dir.display();
        println!("\nIt uses the SDK at {from}; `atelier plugin new --sdk` names another.");
        println!("Next: atelier plugin build {dir}, then atelier plugin test {dir}");
        Ok(())
    }
}

impl Sign {
    fn run(self) -> anyhow::Result<()> {
        let key = match self.key {
            Some(key) => key,
            None => default_key()?,
        };
        let signed = sign(&self.file, &key)?;
        println!("{}", signed.signature.display());
        println!("\nOperators trust it with:\n");
        println!(
            "[[plugins.trusted_keys]]\npublisher = {:?}\nkey = {:?}",
            signed.publisher, signed.public_key
        );
        Ok(())
    }
}
