//! Load on one address, by wrk.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::subject::Subject;
use crate::process;

/// wrk's own report is for people; this one is for us. Latencies are microseconds.
const SCRIPT: &str = r#"
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = os.getenv("BENCH_AUTHORIZATION")
wrk.body = os.getenv("BENCH_BODY")
done = function(summary, latency, requests)
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    'report {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"lost":%d,"refused":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), lost, summary.errors.status))
end
"#;

/// What one run gave.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Report {
    pub requests: u64,
    pub duration_us: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    lost: u64,
    refused: u64,
}

impl Report {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / (self.duration_us as f64 / 1e6)
    }
}

/// Ask `subject` for chat completions over so many connections at once; every answer must be a success.
pub fn load(
    mut wrk: Command,
    scratch: &Path,
    subject: &Subject,
    connections: u32,
    seconds: u32,
) -> Result<Report> {
    let script = scratch.join("chat.lua");
    fs::write(&script, SCRIPT)?;
    wrk.args(["--threads", "1", "--timeout", "10s"])
        .args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")])
        .arg("--script")
        .arg(&script)
        .arg(subject.chat_url())
        .env("BENCH_AUTHORIZATION", format!("Bearer {}", subject.key))
        .env("BENCH_BODY", subject.body(false));
    let printed = process::capture(&mut wrk)?;
    let line = printed.lines().find_map(|line| line.strip_prefix("report "));
    let line = line.with_context(|| format!("wrk gave no report: {printed}"))?;
    let report: Report = serde_json::from_str(line).context("wrk's report")?;
    ensure!(
        report.lost == 0 && report.refused == 0 && report.requests > 0,
        "{}: of {} requests {} were lost and {} refused",
        subject.name,
        report.requests,
        report.lost,
        report.refused
    );
    Ok(report)
}
