//! The app at work: its listeners, and what goes on beside requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use atelier_service::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{App, checking};
use crate::config::{Config, Transport};
use crate::http::batches::Runner;
use crate::http::proxied::Proxies;
use crate::http::route;
use crate::listener::{Bounds, Listener, Tls};
use crate::telemetry::{ErrorQueue, Reporter};
use crate::workers::Workers;
use crate::{admin, listener};

/// How often model lists that grow old are renewed.
const RENEWAL_EVERY: Duration = Duration::from_secs(60);
/// Connections to the operators' listener.
const ADMIN_CONNECTIONS_MAX: usize = 64;
const ADMIN_DRAIN_MAX: Duration = Duration::from_secs(1);
/// For the last spans, and then the last reports of errors, where draining has taken all of its time.
const LAST_SENT: Duration = Duration::from_secs(1);

/// A server that listens.
#[derive(Debug)]
pub struct Running {
    pub app: Arc<App>,
    /// Where callers reach it.
    pub address: SocketAddr,
    /// Where operators reach it.
    pub admin_address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    settle: watch::Sender<bool>,
    /// Ends after the others: their calls are recorded until then.
    accounting: JoinHandle<()>,
    checking: checking::Stop,
    /// End last, the reporter after the exporter, and are told until when they may go on.
    exporting: Option<Sending>,
    reporting: Option<Sending>,
}

/// A task that sends what others gather, and the end of it.
type Sending = (watch::Sender<Option<Instant>>, JoinHandle<()>);

impl Running {
    /// Builds the app and listens.
    ///
    /// # Errors
    /// The store cannot be opened, or an address is taken.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_reporting(config, None).await
    }

    /// The same, and tells of the errors in a queue.
    ///
    /// # Errors
    /// The same.
    pub(crate) async fn start_reporting(
        config: Config,
        errors: Option<Arc<ErrorQueue>>,
    ) -> anyhow::Result<Self> {
        let (listen, admin_listen) = (config.server.listen, config.admin.listen);
        let public = bind(listen, "[server] listen").await?;
        let private = bind(admin_listen, "[admin] listen").await?;
        let (address, admin_address) = (public.local_addr()?, private.local_addr()?);
        let app = App::build(config).await?;
        let tls = secured(&app, &app.config.server.transport, "server").await?;
        let admin_tls = secured(&app, &app.config.admin.transport, "admin").await?;
        let (stop, stopped) = watch::channel(false);
        let (settle, settled) = watch::channel(false);
        let server = &app.config.server;
        let bounds = Bounds {
            connections_max: server.connections_max,
            connections_per_address_max: server.connections_per_address_max,
            streams_max: server.streams_per_connection_max,
            head_max: server.head_max,
            stall_max: server.write_idle_max,
            ping_every: server.ping_every,
            drain_max: server.drain_max,
        };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = Arc::new(Workers::start(threads).context("no threads to serve connections")?);
        let serving = Listener {
            socket: public,
            router: route::router(app.clone()),
            workers: workers.clone(),
            bounds,
            counts: Some(app.metrics.connections()),
            tls: tls.clone(),
            proxies: server.proxies.clone(),
        };
        let serving = listener::serve(serving, stopped.clone());
        let bounds = Bounds { connections_max: ADMIN_CONNECTIONS_MAX, drain_max: ADMIN_DRAIN_MAX, ..bounds };
        let watching = Listener {
            socket: private,
            router: admin::router(app.clone()),
            workers,
            bounds,
            counts: None,
            tls: admin_tls.clone(),
            proxies: Proxies::default(),
        };
        let watching = listener::serve(watching, stopped.clone());
        let renewing = renew(app.registry.clone(), stopped.clone());
        let (idempotency, expiring) = (app.idempotency.clone(), stop.subscribe());
        let (batches, ending, runner) =
            (app.batches.clone(), stop.subscribe(), Arc::new(Runner::new(app.clone())));
        let (responses, forgetting_answers) = (app.responses.clone(), stop.subscribe());
        let (files, collecting) = (app.files.clone(), stop.subscribe());
        let jobs = app.jobs.clone();
        let working = async move {
            if let Err(error) = jobs.read_open_jobs().await {
                tracing::warn!(%error, "open jobs could not be read: callbacks find them once they were polled");
            }
            jobs.run(stopped).await;
        };
        let (webhooks, events, callbacks) = (app.webhooks.clone(), app.events.clone(), app.clone());
        let (conversations, clearing) = (app.conversations.clone(), stop.subscribe());
        let (telling, sweeping, forgetting) = (stop.subscribe(), stop.subscribe(), stop.subscribe());
        let (audit, auditing) = (app.audit.clone(), stop.subscribe());
        let (accounts, ending_sessions) = (app.accounts.clone(), stop.subscribe());
        let (enrolment, mailing) = (app.enrolment.clone(), stop.subscribe());
        let (deletions, erasing) = (app.deletions.clone(), stop.subscribe());
        let (usage, pruning) = (app.ledger.clone(), stop.subscribe());
        let ledger = app.ledger.clone();
        let accounting = async move { ledger.run(settled).await };
        let reloading = [tls, admin_tls].into_iter().flatten();
        let reloading: Vec<_> = reloading.map(|tls| tokio::spawn(tls.watch(stop.subscribe()))).collect();
        let mut tasks = vec![
            tokio::spawn(serving),
            tokio::spawn(watching),
            tokio::spawn(renewing),
            tokio::spawn(working),
            tokio::spawn(async move { batches.run(runner, ending).await }),
            tokio::spawn(async move { responses.run(forgetting_answers).await }),
            tokio::spawn(async move { files.run(collecting).await }),
            tokio::spawn(async move { idempotency.run(expiring).await }),
            tokio::spawn(async move { conversations.run(clearing).await }),
            tokio::spawn(async move { webhooks.run(telling).await }),
            tokio::spawn(async move { events.run_sweeps(sweeping).await }),
            tokio::spawn(async move { callbacks.callbacks.run_sweeps(forgetting).await }),
            tokio::spawn(async move { audit.run(auditing).await }),
            tokio::spawn(async move { usage.run_sweeps(pruning).await }),
            tokio::spawn(async move { accounts.run(ending_sessions).await }),
            tokio::spawn(async move { enrolment.run(mailing).await }),
            tokio::spawn(async move { deletions.run(erasing).await }),
        ];
        tasks.extend(reloading);
        let accounting = tokio::spawn(accounting);
        let checking = app.checking.start().context("no thread to check the store")?;
        let exporting = app.tracing.as_ref().map(|tracing| {
            let (end, ended) = watch::channel(None);
            (end, tokio::spawn(tracing.exporter(app.instances.sandbox().egress()).run(ended)))
        });
        if let Some(errors) = &errors {
            app.metrics.watch_errors(&errors.counts)?;
        }
        let reporting = errors.map(|errors| {
            let (end, ended) = watch::channel(None);
            (end, tokio::spawn(Reporter::new(errors, app.instances.sandbox().egress().clone()).run(ended)))
        });
        tracing::info!(%address, %admin_address, "listening");
        Ok(Self {
            app,
            address,
            admin_address,
            stop,
            tasks,
            settle,
            accounting,
            checking,
            exporting,
            reporting,
        })
    }

    /// Stops accepting, and waits for what runs, within the configured deadline.
    pub async fn stop(self) {
        let drained = Instant::now() + self.app.config.server.drain_max;
        self.app.stopping.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        // Feeds end by themselves after minutes only; their readers go on elsewhere or later.
        self.app.hub.close();
        for task in self.tasks {
            ended(task).await;
        }
        self.settle.send_replace(true);
        ended(self.accounting).await;
        // It ends within a batch.
        ended(tokio::task::spawn_blocking(move || self.checking.stop())).await;
        for (end, sending) in [self.exporting, self.reporting].into_iter().flatten() {
            end.send_replace(Some(drained.max(Instant::now() + LAST_SENT)));
            ended(sending).await;
        }
    }
}

async fn ended(task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "a task of the server ended unexpectedly");
    }
}

/// A listener's TLS, if it has any.
async fn secured(
    app: &App,
    transport: &Transport,
    listener: &'static str,
) -> anyhow::Result<Option<Arc<Tls>>> {
    let Some(setup) = transport.tls.clone() else {
        if transport.insecure_http {
            tracing::warn!(
                listener,
                "insecure_http: what callers send, their keys as well, can be read on its way"
            );
        }
        return Ok(None);
    };
    let counts = app.metrics.watch_tls(listener)?;
    let reading = tokio::task::spawn_blocking(move || Tls::new(setup, counts)).await?;
    Ok(Some(Arc::new(reading.with_context(|| format!("[{listener}.tls]"))?)))
}

async fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; is another server running? change {setting}"))
}

/// Loads the model lists at once, and renews them before they are old.
async fn renew(registry: Arc<Registry>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = registry.renew() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(RENEWAL_EVERY) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}
