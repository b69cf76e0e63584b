//! TLS on a listener: handshakes bounded in time and number, and certificates that change while it serves.

mod files;
mod handshake;
mod reload;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use prometheus::{IntCounter, IntCounterVec};
use rustls::ServerConfig;
use tokio::sync::Semaphore;

pub(crate) use files::TlsFiles;
use files::{BadFile, Loaded};

/// How a listener's TLS is set up.
#[derive(Clone, Debug)]
pub(crate) struct TlsSetup {
    pub files: TlsFiles,
    /// From a connection's begin to the end of its handshake, waiting for its turn included.
    pub handshake_max: Duration,
    /// Handshakes at once; others wait for their turn.
    pub handshakes_max: usize,
    /// Of these from one address.
    pub handshakes_per_address_max: usize,
    /// How often the files are looked at.
    pub reload_every: Duration,
    /// For how long browsers are told to come over TLS alone (RFC 6797); zero: they are not told.
    pub hsts: Duration,
}

/// Where a listener's TLS is counted.
#[derive(Clone, Debug)]
pub(crate) struct TlsCounts {
    /// By reason.
    pub failed: IntCounterVec,
    /// Files that were taken in place of older ones.
    pub reloaded: IntCounter,
    /// Changed files that cannot be used.
    pub refused: IntCounter,
    /// Until when the certificate is good, in seconds since 1970.
    pub not_after: Arc<AtomicI64>,
}

/// A listener's TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    setup: TlsSetup,
    current: ArcSwap<ServerConfig>,
    turns: Semaphore,
    counts: TlsCounts,
    /// Of the files that are in use.
    stamp: files::Stamp,
}

impl Tls {
    /// With the files as they are now. Reads them, which blocks.
    ///
    /// # Errors
    /// A file cannot be used.
    pub(crate) fn new(setup: TlsSetup, counts: TlsCounts) -> Result<Self, BadFile> {
        let stamp = setup.files.stamp();
        let loaded = setup.files.load()?;
        counts.not_after.store(loaded.not_after, Ordering::Relaxed);
        Ok(Self {
            current: ArcSwap::from(loaded.config),
            turns: Semaphore::new(setup.handshakes_max),
            counts,
            stamp,
            setup,
        })
    }

    /// What every answer over this listener says of it.
    pub(super) fn transport_security(&self) -> Option<HeaderValue> {
        let seconds = self.setup.hsts.as_secs();
        (seconds > 0).then(|| HeaderValue::try_from(format!("max-age={seconds}")).ok()).flatten()
    }
}
