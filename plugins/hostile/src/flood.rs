//! Attacks on what the host keeps for a plugin.

use atelier_plugin_sdk::blobs::{self, BlobWriter};
use atelier_plugin_sdk::chat::ChatSink;
use atelier_plugin_sdk::log::{self, Level};
use atelier_plugin_sdk::{Failure, cache};

pub fn log_lines() -> ! {
    let line = "nothing to see here ".repeat(50);
    loop {
        log::write(Level::Info, &line);
    }
}

/// Far more than a cache may hold. A cache promises nothing, so this is no offence: the answer tells how many of the first thousand
/// entries are left.
pub fn cache_entries(sink: &ChatSink) -> Result<(), Failure> {
    let value = vec![7; 32 * 1024];
    for n in 0..2_000 {
        cache::set(&format!("entry {n}"), &value, 60_000);
    }
    cache::set("too large", &vec![7; 100 * 1024], 60_000);
    let kept = (0..2_000).filter(|n| cache::get(&format!("entry {n}")).is_some()).count();
    let large = cache::get("too large").is_some();
    super::answer(sink, format!("{kept} kept, too large: {large}"))
}

pub fn blob_bytes() -> Result<(), Failure> {
    let chunk = vec![7; 512 * 1024];
    loop {
        let writer = blobs::create("application/octet-stream")?;
        writer.append(&chunk)?;
        writer.finish()?;
    }
}

pub fn handles() -> Result<(), Failure> {
    let mut held: Vec<BlobWriter> = Vec::new();
    loop {
        held.push(blobs::create("text/plain")?);
    }
}

/// One call that hands the host a list of millions of strings: each costs the guest eight bytes and the host far more.
pub fn host_call_memory(sink: &ChatSink) -> Result<(), Failure> {
    use atelier_plugin_sdk::chat::{ChatEvent, ToolCallDelta};
    let events: Vec<ChatEvent> = (0..100_000)
        .map(|index| ChatEvent::ToolCallDelta(ToolCallDelta { index, arguments: String::new() }))
        .collect();
    sink.send(&events)?;
    Ok(())
}
