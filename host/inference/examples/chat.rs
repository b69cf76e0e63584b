//! Ask a small model something: `cargo run -p atelier-inference --example chat -- "your question" [file.gguf]`.
//! With `FAST` set in the environment, in 8-bit arithmetic.

use std::io::Write;
use std::time::Instant;

use anyhow::Context;
use atelier_inference::{
    ChatRequest, Engine, EngineConfig, EngineState, Event, Precision, Role, TextEngine, WeightsSource,
    weights,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let question = arguments.next().context("usage: chat QUESTION [FILE.gguf]")?;
    let source = match arguments.next() {
        Some(file) => WeightsSource::File(file.into()),
        None => WeightsSource::Published {
            source: weights::SMOLLM2_135M_INSTRUCT,
            cache_dir: weights::cache_dir()?,
        },
    };
    let precision = if std::env::var_os("FAST").is_some() { Precision::Fast } else { Precision::Exact };
    let engine = Engine::lazy(source, EngineConfig { precision, ..EngineConfig::default() });
    let loading = Instant::now();
    if engine.state() == EngineState::NotFetched {
        eprintln!("fetching the weights ...");
    }
    let info = engine.warm().await?;
    eprintln!("{}: ready after {:.2?}; {} bytes", info.name, loading.elapsed(), info.memory_bytes);

    let request = ChatRequest::new([(Role::User, question)]).with_max_tokens(256);
    let mut generation = engine.generate(request).await?;
    let started = Instant::now();
    let mut first = None;
    while let Some(event) = generation.next().await {
        match event? {
            Event::Delta(text) => {
                first.get_or_insert_with(Instant::now);
                print!("{text}");
                std::io::stdout().flush()?;
            }
            Event::Logprobs(_) => {}
            Event::Finished { reason, prompt_tokens, completion_tokens } => {
                let first = first.unwrap_or(started);
                let rate = completion_tokens.saturating_sub(1) as f64 / first.elapsed().as_secs_f64();
                println!();
                eprintln!(
                    "{reason:?}: {prompt_tokens} prompt tokens, first token after {:.0?}, \
                     {completion_tokens} tokens, {rate:.1} tokens/s",
                    first - started
                );
            }
        }
    }
    Ok(())
}
