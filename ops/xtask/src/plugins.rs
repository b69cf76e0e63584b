//! `cargo xtask plugins`: every folder of `plugins/` to one signed file.

mod discover;
mod disguise;
mod inputs;
mod javascript;
mod output;
mod python;
mod wit;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use plugin_build::{
    compile,
    key::SigningKey,
    toolchain::{Source, WasmToolchain},
};

pub use self::disguise::{altered, write_signed};
use self::{
    discover::{Language, Plugin},
    inputs::Inputs,
    output::{Output, Stamp},
};
use crate::{
    cache::{Cache, Lock},
    dev_key,
    progress::say,
    workspace::Workspace,
};

/// Build the plugins into signed components: target/plugins/NAME-VERSION.wasm and .wasm.minisig.
///
/// A plugin is a folder of plugins/ or plugins/hostile/ with a manifest.toml and either a
/// Cargo.toml (Rust) or a build.toml:
///
///     language = "python"             # or "javascript"
///     entry = "app"                   # the Python module, or the JavaScript file
///     wit = "0.1"                     # the folder of wit/ whose interfaces it speaks
///     exports = ["catalog", "chat"]   # the interfaces it provides
///
/// The manifest goes into the component as JSON, and the development key (`cargo xtask dev-key`)
/// signs the file. What is up to date is left alone. The WebAssembly target is taken from the
/// active toolchain, else from rustup, else from Debian's packages, which are unpacked into the
/// cache folder.
#[derive(Debug, Default, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// Build this plugin only (may be given several times)
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Build nothing: name the plugins that are not up to date, and fail if there are any
    #[arg(long)]
    pub check: bool,
    /// Take the WebAssembly target from here only [default: whichever works first]
    #[arg(long, value_name = "SOURCE")]
    pub toolchain: Option<Source>,
}

/// Run the verb.
pub fn run(workspace: &Workspace, cache: &Cache, options: &Options) -> Result<ExitCode> {
    let stale = build(workspace, cache, options)?;
    Ok(if stale == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Bring the plugins up to date; with `check`, only count those that are not.
pub fn build(workspace: &Workspace, cache: &Cache, options: &Options) -> Result<usize> {
    let plugins = selected(discover::all(workspace)?, &options.only)?;
    if plugins.is_empty() {
        say("plugins: there are none (a plugin is a folder of plugins/ with a manifest.toml)");
        return Ok(0);
    }
    let key = dev_key::open(cache)?;
    let output = Output::new(workspace);
    let _lock = Lock::acquire(&output.lock_path())?;
    let needs_rust = plugins.iter().any(|plugin| plugin.language == Language::Rust);
    let toolchain = needs_rust.then(|| workspace.wasm_toolchain(cache, options.toolchain)).transpose()?;
    let inputs = Inputs::read(workspace, toolchain.as_ref())?;

    let mut stale = 0;
    for (index, plugin) in plugins.iter().enumerate() {
        let label = format!("plugins: {}/{} {}", index + 1, plugins.len(), plugin.name);
        let wanted = Stamp { inputs: inputs.digest(plugin)?, file: plugin.file_name() };
        if output.is_current(plugin, &wanted, &key)? {
            say(format_args!("{label} {} is up to date", plugin.manifest.version()));
        } else if options.check {
            say(format_args!("{label} {} is not up to date", plugin.manifest.version()));
            stale += 1;
        } else {
            say(format_args!("{label} {}: building", plugin.manifest.version()));
            let bytes = make(workspace, cache, toolchain.as_ref(), plugin, &wanted, &output, &key)
                .with_context(|| format!("plugin {}", plugin.name))?;
            say(format_args!("{label}: {} ({} KB)", output.path(&wanted.file).display(), bytes / 1000));
        }
    }
    if options.check {
        say(format_args!("plugins: {} of {} up to date", plugins.len() - stale, plugins.len()));
    } else {
        say(format_args!("plugins: {} up to date, signed as `{}`", plugins.len(), dev_key::PUBLISHER));
        say(format_args!("plugins: trust {}", key.public_path.display()));
    }
    Ok(stale)
}

/// Where the finished file of a plugin lies.
pub fn file(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let plugins = selected(discover::all(workspace)?, &[name.to_owned()])?;
    let plugin = plugins.first().with_context(|| format!("there is no plugin `{name}`"))?;
    Ok(Output::new(workspace).path(&plugin.file_name()))
}

/// Build one plugin and put its file in place; returns the file's size in bytes.
fn make(
    workspace: &Workspace,
    cache: &Cache,
    toolchain: Option<&WasmToolchain>,
    plugin: &Plugin,
    stamp: &Stamp,
    output: &Output,
    key: &SigningKey,
) -> Result<usize> {
    let component = match &plugin.language {
        Language::Rust => {
            let toolchain = toolchain.context("no Rust toolchain was looked for")?;
            compile::component(workspace.root(), toolchain, &plugin.dir)?
        }
        Language::Python(guest) => python::component(workspace, cache, plugin, guest)?,
        Language::JavaScript(guest) => javascript::component(workspace, cache, plugin, guest)?,
    };
    let file = plugin_package::package(&component, &plugin.manifest)?;
    output.put(plugin, stamp, &file, key)?;
    Ok(file.len())
}

fn selected(all: Vec<Plugin>, only: &[String]) -> Result<Vec<Plugin>> {
    for name in only {
        let known: Vec<_> = all.iter().map(|plugin| plugin.name.as_str()).collect();
        ensure!(
            known.contains(&name.as_str()),
            "there is no plugin `{name}`; there are: {}",
            known.join(", ")
        );
    }
    Ok(all.into_iter().filter(|plugin| only.is_empty() || only.contains(&plugin.name)).collect())
}
