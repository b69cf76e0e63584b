//! `cargo xtask fuzz`: looks for bytes that break what must hold for whatever comes from outside.

mod report;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{process, progress::say, workspace::Workspace};
use report::Report;

const TOOLCHAIN: &str = "nightly";
/// Memory of a target, in MiB: many times what any of them needs, since properties bound what parsers take.
const RSS_MIB_MAX: u32 = 1024;
/// How long one input may take.
const INPUT_SECONDS_MAX: u32 = 10;
/// How long a target may take beyond its time: it reads its corpus first, and ends with the input that it is at.
const GRACE: Duration = Duration::from_secs(120);

/// Look for bytes that break what must hold for whatever comes from outside.
///
/// The targets are those of ops/fuzz, run one after the other by libFuzzer, on what ops/fuzz/corpus has and what earlier runs
/// found worth keeping (target/fuzz/corpus). Debug assertions and overflow checks are on; there is no address sanitizer, since our code
/// has no unsafe blocks where these bytes are read. Needs a nightly compiler and cargo-fuzz, and installs neither. The first build takes
/// about half an hour.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Which to run [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Run the verb.
pub fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let site = Site::of(workspace);
    let targets = chosen(&site.known()?, &options.targets)?;
    let host = site.tools()?;
    // The very versions that the product is built with.
    fs::copy(workspace.root().join("Cargo.lock"), site.targets.join("Cargo.lock")).context("Cargo.lock")?;
    for target in &targets {
        say(format_args!("fuzz: building {target}"));
        process::run(&mut site.build(target))?;
    }
    let mut has_found = false;
    for target in &targets {
        say(format_args!("fuzz: {target} for {} s", options.seconds));
        let (report, holds) = site.fuzz(&host, target, options.seconds)?;
        let outcome = if holds { "nothing found" } else { "FOUND SOMETHING" };
        say(format_args!("fuzz: {target}: {report}: {outcome}"));
        if !holds {
            has_found = true;
            say(format_args!("fuzz: what was found is told in {}", site.log(target).display()));
            say(format_args!("fuzz: its bytes are in {}", site.findings(target).display()));
            say(format_args!(
                "fuzz: once it is mended, keep them in ops/fuzz/corpus/{target}: the tests replay them"
            ));
        }
    }
    Ok(if has_found { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The wanted targets in the order of all; all where none is named.
fn chosen(known: &BTreeSet<String>, wanted: &[String]) -> Result<Vec<String>> {
    for name in wanted {
        let all: Vec<_> = known.iter().map(String::as_str).collect();
        ensure!(known.contains(name), "there is no target {name}; there are {}", all.join(", "));
    }
    Ok(known.iter().filter(|name| wanted.is_empty() || wanted.contains(name)).cloned().collect())
}

/// Where everything lies.
struct Site {
    /// The crate of the targets.
    targets: PathBuf,
    /// What is replayed by the tests.
    seeds: PathBuf,
    /// What is built, and what was found.
    products: PathBuf,
}

impl Site {
    fn of(workspace: &Workspace) -> Self {
        let dir = workspace.root().join("ops/fuzz");
        let products = workspace.target().join("fuzz");
        Self { targets: dir.join("targets"), seeds: dir.join("corpus"), products }
    }

    fn known(&self) -> Result<BTreeSet<String>> {
        let dir = self.targets.join("fuzz_targets");
        let files = fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
        files
            .map(|file| {
                Ok(file?
                    .path()
                    .with_extension("")
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned()))
            })
            .filter_map(Result::transpose)
            .collect()
    }

    /// Makes sure that there is what it takes; gives the platform that targets are built for.
    fn tools(&self) -> Result<String> {
        let told = process::capture(process::cargo_of(TOOLCHAIN).args(["version", "--verbose"])).context(
            "a nightly compiler is needed: run `rustup toolchain install nightly --profile minimal`",
        )?;
        ensure!(
            process::works(process::cargo_of(TOOLCHAIN).args(["fuzz", "--version"])),
            "cargo-fuzz is needed: run `cargo install cargo-fuzz --locked`"
        );
        let host = told.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(host.context("cargo does not say for what it builds")?.to_owned())
    }

    fn build(&self, target: &str) -> Command {
        let mut command = process::cargo_of(TOOLCHAIN);
        command.args(["fuzz", "build", "--sanitizer", "none", "--fuzz-dir"]).arg(&self.targets);
        command.arg("--target-dir").arg(&self.products).arg(target);
        command
    }

    fn log(&self, target: &str) -> PathBuf {
        self.products.join("logs").join(format!("{target}.log"))
    }

    fn findings(&self, target: &str) -> PathBuf {
        self.products.join("findings").join(target)
    }

    /// What it did, and whether the property holds as far as it looked.
    fn fuzz(&self, host: &str, target: &str, seconds: u32) -> Result<(Report, bool)> {
        let (corpus, findings) = (self.products.join("corpus").join(target), self.findings(target));
        for dir in [&corpus, &findings, &self.products.join("logs")] {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let log = self.log(target);
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut fuzzer = Command::new(self.products.join(host).join("release").join(target));
        fuzzer
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-rss_limit_mb={RSS_MIB_MAX}"))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .arg("-print_final_stats=1")
            .arg(artifact_prefix(&findings))
            // What is new goes into the first.
            .args([&corpus, &self.seeds.join(target)])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let ended = process::run_within(&mut fuzzer, Duration::from_secs(seconds.into()) + GRACE);
        let told = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        Ok((Report::of(&String::from_utf8_lossy(&told)), ended.is_ok()))
    }
}

fn artifact_prefix(findings: &Path) -> OsString {
    let mut flag = OsString::from("-artifact_prefix=");
    flag.push(findings);
    flag.push("/");
    flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_all_or_those_that_are_named_and_known() {
        let known: BTreeSet<String> = ["gguf", "manifest", "sse"].map(str::to_owned).into();
        assert_eq!(chosen(&known, &[]).expect("all"), ["gguf", "manifest", "sse"]);
        assert_eq!(chosen(&known, &["sse".to_owned(), "gguf".to_owned()]).expect("known"), ["gguf", "sse"]);
        let why = chosen(&known, &["ssh".to_owned()]).expect_err("unknown").to_string();
        assert!(why.contains("ssh") && why.contains("gguf, manifest, sse"), "{why}");
    }
}
