//! The mock upstream as a program of its own.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use mock_upstream::instant::Instant;
use mock_upstream::{Config, Fault, MockUpstream};

const TEACHING: &str = r#"Try it:
  mock-upstream --listen 127.0.0.1:9090
  curl -s http://127.0.0.1:9090/v1/chat/completions -H 'authorization: Bearer sk-any' \
    -H 'content-type: application/json' \
    -d '{"model":"mock-chat","messages":[{"role":"user","content":"hi"}]}'

Where the protocols are:
  OpenAI      /v1/…  (also /openai/v1/…)    Authorization: Bearer KEY
  Anthropic   /anthropic/v1/…, /v1/messages  x-api-key or bearer KEY, anthropic-version: 2023-06-01 or 2026-10-21
  Replicate   /v1/predictions…, /replicate/… Authorization: Bearer KEY
  ElevenLabs  /elevenlabs/…                  xi-api-key: KEY
  Ollama      /ollama/api/…                  no key
  Gemini      /gemini/v1beta/…               X-Goog-Api-Key
Any key will do, except those that start with sk-bad. Models whose name starts with
`missing` do not exist. A text with the word `weather` makes the model call a tool.

Faults: append one to the model's name (mock-chat+cut), send the header x-mock-fault: drip=50,
or POST /_mock/fault {"fault":"500","times":2}.
  429[=S]  500  503  529          the provider's own error, with its headers
  cut  reset                      the connection is reset half-way through the body; before any answer
  drip[=MS]  slow[=MS]            one byte or event each MS; first byte after MS
  malformed  stream-error         JSON that does not parse; an error event in mid-stream
  redirect-private[=URL]  redirect-metadata
  echo  echo-split  echo-header  echo-error   the request, headers and all, comes back
  echo-request                    the request's body comes back in an error
  giant[=BYTES]  idle             a body of 1 GiB; headers and then silence
  fail  fail-echo                 an asynchronous job ends as failed, and repeats its input
With --chaos SEED some requests fail at random, until POST /_mock/calm.

Watch it: GET /_mock/requests, /_mock/charges, /_mock/faults, /_mock/webhooks, /_mock/streams; POST /_mock/reset."#;

/// Speaks the protocols of OpenAI, Anthropic, Replicate, ElevenLabs and Ollama: the far end of
/// the wire for tests and benchmarks.
#[derive(Debug, Parser)]
#[command(version, after_long_help = TEACHING)]
struct Arguments {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// How much to do for each request.
    #[arg(long, value_enum, default_value_t = Mode::Full)]
    mode: Mode,
    /// Threads that serve requests.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// The fault that every request gets unless it names its own (full mode).
    #[arg(long)]
    fault: Option<Fault>,
    /// Let some requests fail at random, by this seed (full mode).
    #[arg(long, value_name = "SEED")]
    chaos: Option<u64>,
    /// Pause between the events of a stream, in milliseconds (full mode).
    #[arg(long, default_value_t = 0)]
    event_interval_ms: u64,
    /// How many polls an asynchronous job takes to finish (full mode).
    #[arg(long, default_value_t = 2)]
    polls_to_finish: u32,
    /// From charging for a request to answering it, in milliseconds (full mode).
    #[arg(long, default_value_t = 0)]
    charged_answer_delay_ms: u64,
    /// From one webhook of an asynchronous job to its next, in milliseconds (full mode).
    #[arg(long, default_value_t = Config::default().webhook_step_ms)]
    webhook_step_ms: u64,
    /// Key that signs webhooks: `whsec_` and base64 (full mode).
    #[arg(long, env = "MOCK_UPSTREAM_WEBHOOK_SECRET", hide_env_values = true)]
    webhook_secret: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Every protocol, faults and the record of requests.
    Full,
    /// Chat completions and the model list from bytes made beforehand, for benchmarks.
    Instant,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let threads = if arguments.mode == Mode::Full { arguments.workers.max(1) } else { 1 };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("the runtime could not be started")?;
    match arguments.mode {
        Mode::Full => runtime.block_on(full(arguments)),
        Mode::Instant => runtime.block_on(instant(arguments)),
    }
}

async fn full(arguments: Arguments) -> anyhow::Result<()> {
    let defaults = Config::default();
    let upstream = MockUpstream::start(Config {
        listen: arguments.listen,
        fault: arguments.fault,
        chaos: arguments.chaos,
        event_interval_ms: arguments.event_interval_ms,
        polls_to_finish: arguments.polls_to_finish,
        charged_answer_delay_ms: arguments.charged_answer_delay_ms,
        webhook_step_ms: arguments.webhook_step_ms,
        webhook_secret: arguments.webhook_secret.unwrap_or(defaults.webhook_secret.clone()),
        ..defaults
    })
    .await?;
    announce(upstream.address())?;
    tokio::signal::ctrl_c().await.context("the interrupt signal cannot be awaited")
}

async fn instant(arguments: Arguments) -> anyhow::Result<()> {
    let instant = Instant::start(arguments.listen, arguments.workers).await;
    let instant = instant.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    announce(instant.address()?)?;
    tokio::select! {
        ended = instant.serve() => ended.context("the listener failed"),
        asked = tokio::signal::ctrl_c() => asked.context("the interrupt signal cannot be awaited"),
    }
}

/// Say where, at once: whoever started this program reads the line to learn the port.
fn announce(address: SocketAddr) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on http://{address}")?;
    out.flush().context("standard output is closed")
}
