//! What is measured: an address that answers chat completions, and the process behind it.

use std::{fs, net::SocketAddr};

use anyhow::{Context, Result};
use serde_json::json;

/// A request of an ordinary application, about 300 bytes.
const SYSTEM: &str = "You are a helpful assistant. Answer briefly, and say so when you do not know.";
const PROMPT: &str = "What is the difference between a process and a thread, in two sentences?";

/// One server under load.
#[derive(Debug)]
pub struct Subject {
    pub name: &'static str,
    pub address: SocketAddr,
    pub model: &'static str,
    pub key: String,
    /// The process whose memory counts, with its children.
    pub process: u32,
}

impl Subject {
    /// Where chat completions are asked for.
    pub fn chat_url(&self) -> String {
        format!("http://{}/v1/chat/completions", self.address)
    }

    /// The request's body.
    pub fn body(&self, streams: bool) -> String {
        json!({
            "model": self.model,
            "stream": streams,
            "messages": [
                { "role": "system", "content": SYSTEM },
                { "role": "user", "content": PROMPT },
            ],
        })
        .to_string()
    }

    /// Resident memory of the process and its children, in MB.
    pub fn resident_mb(&self) -> Result<f64> {
        resident_kib(self.process).map(|kib| kib as f64 * 1.024e-3)
    }
}

/// `VmRSS` of a process and all below it, in KiB.
pub fn resident_kib(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .with_context(|| format!("process {process} has ended"))?;
    let own = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let own = own.and_then(|text| text.trim().strip_suffix(" kB")).context("no VmRSS in the status")?;
    let mut sum: u64 = own.trim().parse()?;
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    for child in children.split_whitespace() {
        sum += resident_kib(child.parse()?)?;
    }
    Ok(sum)
}
