//! One streamed chat completion, printed as it comes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::host::agent;

/// A small model on two cores, with room to spare.
const STREAM_LIMIT: Duration = Duration::from_secs(300);
const LINE_BYTES_MAX: u64 = 1 << 20;
const ERROR_BYTES_MAX: u64 = 64 << 10;
const TOKENS_MAX: u32 = 96;

/// What was measured.
#[derive(Debug)]
pub struct Figures {
    first_token: Duration,
    total: Duration,
    tokens: u64,
}

impl Figures {
    /// One line for people.
    pub fn row(&self, setup_s: f64) -> String {
        let generating_s = self.total.saturating_sub(self.first_token).as_secs_f64();
        // The first token is not made within the time after it.
        let rate = self.tokens.saturating_sub(1) as f64 / generating_s.max(f64::EPSILON);
        format!(
            "set-up {setup_s:.1} s | first token {:.0} ms | {} tokens | {rate:.1} tokens/s | total {:.2} s",
            self.first_token.as_secs_f64() * 1e3,
            self.tokens,
            self.total.as_secs_f64(),
        )
    }
}

/// One `data:` line: a chunk, the usage at the end, or an error in mid-stream.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: u64,
}

/// Ask, and write the text to `out` as it arrives.
pub fn stream(
    host: SocketAddr,
    key: &str,
    model: &str,
    prompt: &str,
    out: &mut impl Write,
) -> Result<Figures> {
    let body = serde_json::json!({
        "model": model,
        "stream": true,
        "stream_options": { "include_usage": true },
        "max_completion_tokens": TOKENS_MAX,
        "messages": [{ "role": "user", "content": prompt }],
    });
    let started = Instant::now();
    let mut response = agent(STREAM_LIMIT)
        .post(format!("http://{host}/v1/chat/completions"))
        .header("Authorization", format!("Bearer {key}"))
        .header("Content-Type", "application/json")
        .send(body.to_string())
        .context("the host did not answer")?;
    if response.status() != 200 {
        let reason = response.body_mut().with_config().limit(ERROR_BYTES_MAX).read_to_string()?;
        bail!("the host answered {}: {reason}", response.status());
    }
    read_events(BufReader::new(response.into_body().into_reader()), started, out)
}

fn read_events(mut events: impl BufRead, started: Instant, out: &mut impl Write) -> Result<Figures> {
    let (mut first_token, mut tokens) = (None, None);
    let mut line = String::new();
    loop {
        line.clear();
        let bytes = events.by_ref().take(LINE_BYTES_MAX).read_line(&mut line).context("the stream broke")?;
        ensure!(bytes > 0, "the stream ended without `data: [DONE]`");
        ensure!(line.ends_with('\n'), "a line of the stream is longer than {LINE_BYTES_MAX} bytes");
        let Some(data) = line.strip_prefix("data:").map(str::trim) else { continue };
        if data == "[DONE]" {
            break;
        }
        let event: Event = serde_json::from_str(data).with_context(|| format!("not an event: {data}"))?;
        if let Some(error) = event.error {
            bail!("the host reported in mid-stream: {error}");
        }
        if let Some(usage) = event.usage {
            tokens = Some(usage.completion_tokens);
        }
        for text in event.choices.into_iter().filter_map(|choice| choice.delta.content) {
            if !text.is_empty() {
                first_token.get_or_insert_with(|| started.elapsed());
                out.write_all(text.as_bytes())?;
                out.flush()?;
            }
        }
    }
    Ok(Figures {
        first_token: first_token.context("the stream ended without any text")?,
        total: started.elapsed(),
        tokens: tokens.context("the stream ended without its usage")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &str) -> Result<(String, Figures)> {
        let mut out = Vec::new();
        let figures = read_events(stream.as_bytes(), Instant::now(), &mut out)?;
        Ok((String::from_utf8(out)?, figures))
    }

    #[test]
    fn text_is_joined_and_tokens_are_taken_from_the_usage() {
        let (text, figures) = read(concat!(
            ": heartbeat\n\n",
            "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"}}]}\r\n\r\n",
            "data: {\"choices\":[],\"usage\":{\"completion_tokens\":2}}\n\n",
            "data: [DONE]\n\n",
        ))
        .expect("a whole stream");
        assert_eq!(text, "Hello");
        assert_eq!(figures.tokens, 2);
    }

    #[test]
    fn a_stream_that_breaks_off_reports_an_error_or_says_nothing_is_a_failure() {
        let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n";
        assert!(read(chunk).is_err());
        assert!(
            read(&format!("{chunk}data: {{\"error\":{{\"message\":\"no\"}}}}\n\ndata: [DONE]\n\n")).is_err()
        );
        assert!(read(&format!("{chunk}data: [DONE]\n\n")).is_err());
        assert!(read("data: [DONE]\n\n").is_err());
        assert!(read("data: nonsense\n\n").is_err());
    }
}
