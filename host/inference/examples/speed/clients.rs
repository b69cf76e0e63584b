//! `speed clients FILE.gguf THREADS COUNT…`: an engine that so many clients ask at once, each again as soon as it is answered: tokens a
//! second of all, when the first one of an answer comes at the latest but for a hundredth, and how soon a place is free whose client left.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use atelier_inference::{
    ChatRequest, Engine, EngineConfig, Event, Generation, Precision, Role, TextEngine, WeightsSource,
};

/// How long each count is measured, and the fewest answers.
const MEASURED: Duration = Duration::from_secs(8);
const ANSWER_TOKENS: u32 = 32;
/// Between two looks at the places: nobody's processor is taken from the engine meanwhile.
const LOOK_AGAIN: Duration = Duration::from_micros(200);
/// Clients that leave, one after another.
const LEAVERS: usize = 20;

#[tokio::main]
pub(crate) async fn run(arguments: &[String]) -> Result<()> {
    let [file, threads, counts @ ..] = arguments else {
        bail!("usage: speed clients FILE.gguf THREADS COUNT…")
    };
    for count in counts {
        let count: usize = count.parse()?;
        let config = EngineConfig {
            concurrent_max: count,
            queued_max: count,
            precision: Precision::Fast,
            threads: Some(threads.parse()?),
            ..EngineConfig::default()
        };
        let engine = Engine::lazy(WeightsSource::File(file.into()), config);
        engine.warm().await?;
        measure(&engine, count).await?;
    }
    Ok(())
}

async fn measure(engine: &Engine, count: usize) -> Result<()> {
    let begun = Instant::now();
    let clients = (0..count).map(|client| {
        let engine = engine.clone();
        tokio::spawn(async move {
            let (mut tokens, mut firsts) = (0, Vec::new());
            let mut question = client;
            while begun.elapsed() < MEASURED {
                let (got, first) = answer(&engine, question).await?;
                (tokens, question) = (tokens + got, question + count);
                firsts.push(first);
            }
            anyhow::Ok((tokens, firsts))
        })
    });
    let clients: Vec<_> = clients.collect();
    let (mut tokens, mut firsts) = (0, Vec::new());
    for client in clients {
        let (of_client, of_firsts) = client.await??;
        tokens += of_client;
        firsts.extend(of_firsts);
    }
    let rate = tokens as f64 / begun.elapsed().as_secs_f64();
    firsts.sort_unstable();
    let share = |share: f64| firsts.get((firsts.len() as f64 * share) as usize).or(firsts.last()).copied();
    let (middle, late) = (share(0.5).context("no answers")?, share(0.99).context("no answers")?);
    let freed = leave(engine, count).await?;
    println!(
        "clients={count} answers={} tokens_per_s={rate:.1} first_ms={:.0} first_p99_ms={:.0} freed_ms={:.1} step_ms={:.1}",
        firsts.len(),
        middle.as_secs_f64() * 1e3,
        late.as_secs_f64() * 1e3,
        freed.as_secs_f64() * 1e3,
        // What a step takes with this many: each client gets a token of it.
        count as f64 / rate * 1e3,
    );
    Ok(())
}

async fn begin(engine: &Engine, question: usize) -> Result<Generation> {
    let words = format!("Write a long story about the number {question} and its friends.");
    let request = ChatRequest::new([(Role::User, words)]).with_max_tokens(ANSWER_TOKENS);
    Ok(engine.generate(request).await?)
}

/// Tokens of an answer, and when its first text came.
async fn answer(engine: &Engine, question: usize) -> Result<(usize, Duration)> {
    let started = Instant::now();
    let mut generation = begin(engine, question).await?;
    let mut first = None;
    while let Some(event) = generation.next().await {
        match event? {
            Event::Delta(_) => drop(first.get_or_insert_with(|| started.elapsed())),
            Event::Logprobs(_) => {}
            Event::Finished { completion_tokens, .. } => {
                return Ok((completion_tokens, first.unwrap_or_else(|| started.elapsed())));
            }
        }
    }
    bail!("an answer had no end")
}

/// How long a place is taken after its client left, at the longest, while as many others are answered as there is room for.
async fn leave(engine: &Engine, count: usize) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    for round in 0..LEAVERS {
        let mut running = Vec::new();
        for client in 0..count {
            let mut generation = begin(engine, 1_000 + client + round).await?;
            ensure!(generation.next().await.is_some(), "an answer had no beginning");
            running.push(generation);
        }
        let free = engine.free_places();
        let left = Instant::now();
        drop(running.pop());
        while engine.free_places() == free {
            ensure!(left.elapsed() < Duration::from_secs(10), "a place is never free");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        longest = longest.max(left.elapsed());
        drop(running);
        while engine.free_places() < 2 * count {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    Ok(longest)
}
