//! In-house models beside the engines that they are compared with, and beside themselves with many clients.

mod duel;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::report::Budgets;
use crate::{cache::Cache, process, workspace::Workspace};
use duel::{Duel, Figure, Peer};

/// Tokens of a prompt and of its answer: `--prompt` and `--answer`.
const CHAT: Duel = Duel {
    kind: "chat",
    peer: Peer {
        name: "llama-cpp",
        requirements: "llama-cpp-python==0.3.36\n",
        // What the processor is asked for by name: a native build also takes AMX where a virtual machine lists it without having it.
        settings: &[(
            "CMAKE_ARGS",
            "-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON \
             -DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON",
        )],
        pass: include_str!("inference/llama_cpp.py"),
    },
    figures: &[
        Figure { what: "decode", name: "decode", unit: "tokens/s", aim: 1.5 },
        Figure { what: "prefill", name: "prefill", unit: "tokens/s", aim: 2.0 },
    ],
};
const TRANSCRIPTION: Duel = Duel {
    kind: "transcribe",
    peer: Peer {
        name: "ctranslate2",
        requirements: "ctranslate2==4.8.5\nnumpy==2.4.6\nsetuptools<81\n",
        settings: &[],
        pass: include_str!("inference/ctranslate2.py"),
    },
    figures: &[Figure { what: "transcription", name: "windows", unit: "windows of 30 s/s", aim: 1.0 }],
};
const EMBEDDING: Duel = Duel {
    kind: "embed",
    peer: Peer {
        name: "onnxruntime",
        requirements: "onnx==1.23.2\nonnxruntime==1.32.0\ntokenizers==0.21.4\nsafetensors==0.8.0\nnumpy==2.4.6\n",
        settings: &[],
        pass: include_str!("inference/onnxruntime.py"),
    },
    figures: &[
        Figure { what: "embeddings, a text at a time", name: "single", unit: "texts/s", aim: 1.0 },
        Figure { what: "embeddings, 32 at a time", name: "batched", unit: "texts/s", aim: 1.0 },
    ],
};
const UPSCALING: Duel = Duel {
    kind: "upscale",
    peer: Peer {
        name: "ncnn",
        requirements: "ncnn==1.0.20261020\nnumpy==2.4.6\n",
        settings: &[],
        pass: include_str!("inference/ncnn.py"),
    },
    figures: &[Figure { what: "upscaling", name: "pixels", unit: "pixels/s", aim: 1.0 }],
};

/// What the texts of the embeddings are made of.
const SENTENCES: [&str; 8] = [
    "How do I reset my password?",
    "The invoice was paid on the third of March, but the receipt never arrived.",
    "A lighthouse in a storm.",
    "Quarterly revenue grew by 12% while operating costs stayed flat, so the margin widened.",
    "Whisk two eggs with a pinch of salt, fold in the flour, and let the batter rest for an hour.",
    "The patient reports intermittent headaches and sensitivity to light.",
    "Rust's ownership rules are checked at compile time; no collector runs beside the program.",
    "Tickets are refunded within fourteen days of a cancelled performance.",
];
const TEXTS: usize = 64;
/// Clients at once.
const CLIENTS: [&str; 4] = ["1", "4", "16", "64"];

/// In-house models beside other engines (llama.cpp, CTranslate2, onnxruntime, ncnn), a pass of each in turn; and the text engine with
/// 1, 4, 16 and 64 clients.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What to measure, all of it where nothing is named
    #[arg(long, value_name = "KIND", value_enum)]
    only: Vec<Kind>,
    /// A GGUF file of the llama family for chats; the published model of the server where none is named
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Threads of each engine
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Passes of each engine, in turn
    #[arg(long, default_value_t = 5)]
    passes: usize,
    /// Tokens of a chat's prompt
    #[arg(long, default_value_t = 256)]
    prompt: usize,
    /// Tokens of a chat's answer
    #[arg(long, default_value_t = 64)]
    answer: usize,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Chat,
    Transcription,
    Embedding,
    Upscaling,
    Clients,
}

/// Measure, and hold the ratios against their aims.
pub fn run(workspace: &Workspace, cache: &Cache, options: &Options) -> Result<Budgets> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--profile", "dist", "--package", "atelier-inference", "--example", "speed"]);
    process::run(cargo.current_dir(workspace.root())).context("building the engines' passes")?;
    let speed = workspace.target().join("dist/examples/speed");
    let mut weights = weights(&speed)?;
    if let Some(file) = &options.model {
        weights.insert("chat".to_owned(), file.clone());
    }
    let path =
        |name: &str| weights.get(name).map(OsString::from).with_context(|| format!("no weights for {name}"));
    let folder = workspace.target().join("bench");
    std::fs::create_dir_all(&folder)?;
    let written = folder.join("texts.json");
    std::fs::write(&written, serde_json::to_vec(&texts())?)?;
    let (threads, texts) = (OsString::from(options.threads.to_string()), OsString::from(written));
    let mut budgets = Budgets::default();
    for kind in Kind::value_variants() {
        if !options.only.is_empty() && !options.only.contains(kind) {
            continue;
        }
        let (duel, arguments) = match kind {
            Kind::Chat => {
                let counts = [options.prompt, options.answer].map(|count| OsString::from(count.to_string()));
                (CHAT, [vec![path("chat")?, threads.clone()], counts.to_vec()].concat())
            }
            Kind::Transcription => {
                let recording = Path::new(&path("recordings")?).join("two_cities.wav");
                (TRANSCRIPTION, vec![path("transcribe")?, recording.into(), threads.clone()])
            }
            Kind::Embedding => (EMBEDDING, vec![path("embed")?, threads.clone(), texts.clone()]),
            Kind::Upscaling => (UPSCALING, vec![path("upscale")?, threads.clone()]),
            Kind::Clients => {
                let mut command = Command::new(&speed);
                command.arg("clients").args([path("chat")?, threads.clone()]).args(CLIENTS);
                process::run(&mut command)?;
                continue;
            }
        };
        duel.run(cache, &speed, &arguments, options.passes, &mut budgets)?;
    }
    Ok(budgets)
}

/// Where the published models are, fetched where they were not.
fn weights(speed: &Path) -> Result<HashMap<String, PathBuf>> {
    let printed = process::capture(Command::new(speed).arg("weights"))?;
    let line = |line: &str| line.split_once('=').map(|(name, path)| (name.to_owned(), PathBuf::from(path)));
    Ok(printed.lines().filter_map(line).collect())
}

/// Texts of 1 to 12 sentences, so of about 10 to 200 tokens.
fn texts() -> Vec<String> {
    let text = |index: usize| {
        let count = 1 + index * 5 % 12;
        let sentences: Vec<&str> = (0..count).map(|n| SENTENCES[(index + 3 * n) % SENTENCES.len()]).collect();
        sentences.join(" ")
    };
    (0..TEXTS).map(text).collect()
}
