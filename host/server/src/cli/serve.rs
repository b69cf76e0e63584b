//! `atelier serve`.

use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::Configured;
use crate::app::Running;
use crate::{heap, telemetry};

pub(super) fn run(configured: &Configured) -> anyhow::Result<ExitCode> {
    let config = configured.load()?;
    let telemetry = telemetry::start(&config).context("no thread to write the log")?;
    heap::give_back_free_memory().context("no thread to give memory back")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
        let running = Running::start_reporting(config, telemetry.errors.clone()).await?;
        let config = &running.app.config;
        let (scheme, admin) = (config.server.transport.scheme(), config.admin.transport.scheme());
        eprintln!(
            "atelier listens on {scheme}://{} (health and metrics: {admin}://{})",
            running.address, running.admin_address
        );
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        running.stop().await;
        anyhow::Ok(())
    })?;
    // A model being loaded must not hold the process up.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    Ok(ExitCode::SUCCESS)
}
