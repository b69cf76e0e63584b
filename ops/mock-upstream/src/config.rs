//! What a mock upstream is told when it starts.

use std::net::{Ipv4Addr, SocketAddr};

use crate::fault::Fault;

/// Settings of one mock upstream. Every bound is named with its unit.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The fault that every request gets unless it names its own.
    pub fault: Option<Fault>,
    /// The seed of faults that befall some requests at random; absent: none do.
    pub chaos: Option<u64>,
    /// Pause between the events of a stream, in milliseconds; 0 sends as fast as the client reads.
    pub event_interval_ms: u64,
    /// Pause of the `drip` fault when it names none, in milliseconds.
    pub drip_interval_ms: u64,
    /// Wait of the `slow` fault when it names none, in milliseconds.
    pub slow_first_byte_ms: u64,
    /// Size of the `giant` fault's body when it names none, in bytes.
    pub giant_bytes: u64,
    /// How many polls an asynchronous job (prediction, training, video, fine-tuning) takes to finish.
    pub polls_to_finish: u32,
    /// From charging for a request to answering it, in milliseconds: whoever leaves meanwhile has paid.
    pub charged_answer_delay_ms: u64,
    /// A prediction with a webhook moves one step each time this many milliseconds pass, polled or not.
    pub webhook_step_ms: u64,
    /// Key that signs webhooks: `whsec_` followed by base64, as Standard Webhooks writes it.
    pub webhook_secret: String,
    /// Most connections served at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Largest request body accepted, in bytes.
    pub request_body_bytes_max: usize,
    /// How many recent requests are remembered.
    pub recorded_requests_max: usize,
    /// How much of each request's body is remembered, in bytes.
    pub recorded_body_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            fault: None,
            chaos: None,
            event_interval_ms: 0,
            drip_interval_ms: 20,
            slow_first_byte_ms: 500,
            giant_bytes: 1 << 30,
            polls_to_finish: 2,
            charged_answer_delay_ms: 0,
            webhook_step_ms: 20,
            webhook_secret: "whsec_bW9jay11cHN0cmVhbS13ZWJob29rLXNlY3JldA==".to_owned(),
            connections_max: 1024,
            request_body_bytes_max: 64 << 20,
            recorded_requests_max: 512,
            recorded_body_bytes_max: 64 << 10,
        }
    }
}
