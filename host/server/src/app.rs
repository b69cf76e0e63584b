//! The composition root: the only place where concrete types are built.

mod checking;
mod local;
mod running;
mod telling;
mod traces;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use atelier_domain::blob::BlobStore;
use atelier_domain::mail::MailSender;
use atelier_domain::time::{Clock, SystemClock};
use atelier_runtime::{Observer, Sandbox};
use atelier_service::accounts::Accounts;
use atelier_service::audit::{Audit, AuditLimits};
use atelier_service::batches::{BatchPorts, Batches};
use atelier_service::callbacks::{CallbackAddresses, CallbackPorts, Callbacks};
use atelier_service::conversations::{ConversationPorts, Conversations};
use atelier_service::deletions::{DeletionPorts, Deletions};
use atelier_service::disk::Room;
use atelier_service::enrolment::{Enrolment, EnrolmentPorts};
use atelier_service::events::{Events, Hub};
use atelier_service::files::{FileLimits, FilePorts, Files};
use atelier_service::generation::{CallBudget, Generations};
use atelier_service::idempotency::{Idempotency, IdempotencyLimits};
use atelier_service::jobs::{JobLimits, JobPorts, Jobs};
use atelier_service::ledger::{Accounting, Ledger};
use atelier_service::limits::Limiter;
use atelier_service::links::{LinkAddresses, LinkPorts, Links};
use atelier_service::own_keys::OwnKeys;
use atelier_service::plugins::Plugins;
use atelier_service::registry::Registry;
use atelier_service::renditions::{RenditionPorts, Renditions};
use atelier_service::responses::{ResponsePorts, Responses};
use atelier_service::screening::Screening;
use atelier_service::templates::Templates;
use atelier_service::webhooks::Webhooks;
use atelier_service::{StoragePool, StoragePoolLimits};
use atelier_storage::{Blobs, Disk, Store};

pub use running::Running;
use watch::Watch;

pub(crate) use checking::{Checking, is_bad};
pub(crate) use local::cache_dir;
pub(crate) use traces::Tracing;

use crate::backup::Backups;
use crate::config::Config;
use crate::http::export::Exports;
use crate::http::route;
use crate::http::sharing::Sharing;
use crate::key_file::KeyFile;
use crate::local::INSTANCE;
use crate::mail_sender::SmtpSender;
use crate::metrics::Metrics;
use crate::plugin_host::{self, Downloads, Instances, SandboxHost};
use crate::sealing;
use crate::webhook_sender::EgressSender;

/// What handlers use.
#[derive(Debug)]
pub struct App {
    pub config: Config,
    pub clock: Arc<dyn Clock>,
    pub accounts: Arc<Accounts>,
    pub enrolment: Arc<Enrolment>,
    pub limiter: Arc<Limiter>,
    pub registry: Arc<Registry>,
    pub own_keys: Arc<OwnKeys>,
    pub generations: Arc<Generations>,
    pub conversations: Conversations,
    pub deletions: Deletions,
    pub jobs: Jobs,
    pub idempotency: Idempotency,
    pub sharing: Arc<Sharing>,
    pub files: Files,
    pub batches: Batches,
    pub responses: Responses,
    pub renditions: Renditions,
    pub links: Links,
    pub templates: Templates,
    pub ledger: Arc<Ledger>,
    pub audit: Audit,
    pub callbacks: Callbacks,
    pub events: Events,
    pub webhooks: Webhooks,
    /// Wakes whoever waits for events.
    pub hub: Arc<Hub>,
    pub metrics: Arc<Metrics>,
    pub plugins: Arc<Plugins>,
    pub instances: Arc<Instances>,
    pub(crate) backups: Backups,
    pub(crate) exports: Exports,
    /// What is known of what is stored.
    pub(crate) checking: Arc<Checking>,
    /// Absent where nothing is traced.
    pub(crate) tracing: Option<Tracing>,
    /// Of the disk.
    pub(crate) room: Room,
    /// This host's name in `via`, so that requests that come back are known.
    pub host_token: String,
    stopping: AtomicBool,
}

impl App {
    /// Builds everything that a configuration asks for. Opens the store; blocks while it does.
    ///
    /// # Errors
    /// The store or the blob store cannot be opened.
    pub async fn build(config: Config) -> anyhow::Result<Arc<Self>> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let metrics = Arc::new(Metrics::new(&route::table())?);
        let tracing = Tracing::new(&config, &metrics)?;
        let store = open_store(&config).await?;
        let pool =
            StoragePool::new(StoragePoolLimits { running_max: config.storage.threads, ..Default::default() });
        let disk = Arc::new(Disk::of(&config.storage.path));
        metrics.watch_storage(pool.clone(), disk.clone())?;
        let accounts =
            Arc::new(Accounts::new(store.clone(), pool.clone(), clock.clone(), config.accounts.limits()));
        let enrolment = EnrolmentPorts {
            accounts: accounts.clone(),
            users: store.clone(),
            store: store.clone(),
            pool: pool.clone(),
            clock: clock.clone(),
            sender: mail_sender(&config)?,
        };
        let enrolment = Arc::new(Enrolment::new(enrolment, config.accounts.enrolment()));
        let screening = config.moderation.clone().map(|settings| Screening::new(settings, metrics.clone()));
        let registry = Registry::new(config.models.aliases.clone(), clock.clone(), metrics.clone());
        let registry = Arc::new(registry.screened_by(screening));
        let limits = AuditLimits { kept_for: config.audit.kept_for, ..AuditLimits::default() };
        let audit = Audit::new(store.clone(), pool.clone(), clock.clone(), limits);
        let watch = Arc::new(Watch { metrics: metrics.clone(), audit: audit.clone() });
        let office = PluginOffice::open(&config, store.clone(), clock.clone(), watch).await?;
        if config.local.enabled {
            let name = INSTANCE.parse().context("the name of the in-house models")?;
            let provider = Arc::new(local::provider(&config.local, office.blobs.clone())?);
            metrics.watch_local(provider.clone())?;
            registry.put(&name, provider).await;
        }
        let plugins = office.plugins;
        let checking = Arc::new(Checking::new(store.clone(), office.blobs.clone()));
        metrics.watch_stored(checking.clone(), config.storage.path.clone())?;
        let backups = Backups::new(config.clone(), store.clone(), office.blob_folder);
        let instances = Arc::new(Instances::new(
            office.sandbox,
            plugins.clone(),
            registry.clone(),
            config.instances.clone(),
        ));
        for missing in &config.missing_secrets {
            let (instance, secret) = (&missing.instance, &missing.secret);
            tracing::warn!(
                instance,
                secret,
                reason = missing.reason,
                "a secret is missing; the instance cannot be used"
            );
        }
        if config.accounts.sign_up && config.money.accounting == Accounting::Record {
            tracing::warn!(
                "anybody may sign up and nobody needs credits: say [money] accounting = \"enforce\", or set budgets"
            );
        }
        if let Some(word) = &config.plugins.unknown_trust {
            tracing::warn!(word, "[plugins] trust is none of strict, warn, off: strict is used");
        }
        instances.start().await.context("placing the configured instances")?;
        let addresses = callback_addresses(&config).await?;
        let hub = Arc::new(Hub::default());
        let sender = EgressSender::new(instances.sandbox().clone(), &config.webhooks.private_hosts);
        let webhooks = telling::webhooks(&config, &store, &pool, &clock, &hub, sender);
        let events = telling::events(&config, &store, &pool, &clock, &hub);
        metrics.watch_events(events.clone(), webhooks.clone(), clock.clone())?;
        let limits = IdempotencyLimits::default();
        let idempotency = Idempotency::new(store.clone(), pool.clone(), clock.clone(), limits);
        let room = Room::new(disk, config.storage.min_free_bytes);
        let responses = ResponsePorts { store: store.clone(), pool: pool.clone(), clock: clock.clone() };
        let responses = Responses::new(responses, config.response_limits());
        let batches = BatchPorts {
            store: store.clone(),
            files: store.clone(),
            blobs: office.blobs.clone(),
            pool: pool.clone(),
            accounts: accounts.clone(),
            idempotency: idempotency.clone(),
            room: room.clone(),
            clock: clock.clone(),
        };
        let batches = Batches::new(batches, config.batches);
        let files = FilePorts {
            store: store.clone(),
            links: store.clone(),
            blobs: office.blobs.clone(),
            pool: pool.clone(),
            clock: clock.clone(),
            room: room.clone(),
            meter: metrics.clone(),
        };
        let limits = FileLimits {
            quota: config.storage.quota,
            uploads_per_user: config.storage.uploads_per_user,
            grace: config.storage.grace,
        };
        let files = Files::new(files, limits);
        let ledger = Arc::new(Ledger::new(store.clone(), pool.clone(), clock.clone(), config.money.clone()));
        let own_keys = OwnKeys::new(
            store.clone(),
            pool.clone(),
            registry.clone(),
            clock.clone(),
            config.accounts.provider_keys,
        );
        let own_keys = Arc::new(own_keys);
        let ports = JobPorts {
            store: store.clone(),
            blobs: office.blobs.clone(),
            pool: pool.clone(),
            registry: registry.clone(),
            own_keys: own_keys.clone(),
            fetcher: Arc::new(Downloads::new(instances.clone(), office.blobs.clone())),
            clock: clock.clone(),
            meter: metrics.clone(),
            callbacks: Some(addresses.clone()),
            tracer: tracing.as_ref().map(|tracing| tracing.tracer.clone()),
            ledger: ledger.clone(),
            room: room.clone(),
        };
        let jobs = Jobs::new(
            ports,
            JobLimits {
                workers_max: config.jobs.workers_max,
                queue: config.jobs.queue,
                ..JobLimits::default()
            },
        );
        metrics.watch_queue(jobs.clone())?;
        // A whole answer is bounded by the gate, a streamed one by its own limit.
        let chat = config.server.request_max.max(config.server.stream_max);
        let budget = CallBudget { chat, ..CallBudget::default() };
        let limits = config.limits.clone();
        let limiter = Arc::new(Limiter::new(move |class| limits.rate(class)));
        let key = key(&config, KeyFile::Links).await.context("the key of links")?;
        let links = Links::new(LinkPorts {
            addresses: LinkAddresses::new(key),
            store: store.clone(),
            accounts: store.clone(),
            files: files.clone(),
            jobs: jobs.clone(),
            pool: pool.clone(),
            limiter: limiter.clone(),
            clock: clock.clone(),
        });
        let ports = RenditionPorts { store: store.clone(), blobs: office.blobs.clone(), pool: pool.clone() };
        let renditions = Renditions::new(ports);
        let generations =
            Arc::new(Generations::new(registry.clone(), own_keys.clone(), ledger.clone(), budget));
        let ports = ConversationPorts {
            store: store.clone(),
            blobs: office.blobs,
            room: room.clone(),
            files: files.clone(),
            generations: generations.clone(),
            limiter: limiter.clone(),
            pool: pool.clone(),
            clock: clock.clone(),
        };
        let conversations = Conversations::new(ports, config.conversations.0.clone());
        conversations.recover().await.context("marking interrupted answers")?;
        let deletions = Deletions::new(DeletionPorts {
            store: store.clone(),
            accounts: accounts.clone(),
            own_keys: own_keys.clone(),
            jobs: jobs.clone(),
            batches: batches.clone(),
            pool: pool.clone(),
            clock: clock.clone(),
        });
        let templates = Templates::new(store.clone(), pool.clone(), clock.clone(), registry.clone());
        let callbacks = Callbacks::new(CallbackPorts {
            addresses,
            jobs: jobs.clone(),
            registry: registry.clone(),
            limiter: limiter.clone(),
            clock: clock.clone(),
            meter: metrics.clone(),
            store,
            pool,
            senders: config.callbacks.senders.clone(),
        });
        Ok(Arc::new(Self {
            clock,
            accounts,
            enrolment,
            limiter,
            generations,
            conversations,
            deletions,
            jobs,
            idempotency,
            sharing: Arc::default(),
            files,
            batches,
            responses,
            renditions,
            links,
            templates,
            ledger,
            audit,
            callbacks,
            events,
            webhooks,
            hub,
            registry,
            own_keys,
            metrics,
            plugins,
            instances,
            backups,
            exports: Exports::default(),
            checking,
            tracing,
            room,
            host_token: office.host_token,
            stopping: AtomicBool::new(false),
            config,
        }))
    }

    /// Whether the server is about to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// The sandbox, and the plugins installed in a configuration's data folder.
#[derive(Debug)]
pub struct PluginOffice {
    pub sandbox: Arc<Sandbox>,
    pub blobs: Arc<dyn BlobStore>,
    /// The same, as the store that it is.
    pub blob_folder: Blobs,
    pub plugins: Arc<Plugins>,
    /// This host's name in `via`.
    pub host_token: String,
}

impl PluginOffice {
    /// Builds the sandbox and opens the plugin folder.
    ///
    /// # Errors
    /// This machine cannot run the sandbox, or a folder cannot be used.
    pub async fn open(
        config: &Config,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> anyhow::Result<Self> {
        let data = config.storage.path.clone();
        let folder = data.join("blobs");
        let blobs = tokio::task::spawn_blocking(move || Blobs::open(folder))
            .await
            .context("opening the blob store")?;
        let blob_folder = blobs.context("the blob store cannot be opened")?;
        let blobs: Arc<dyn BlobStore> = Arc::new(blob_folder.clone());
        let host_token = format!("atelier-{}", uuid::Uuid::now_v7().simple());
        let sandbox = plugin_host::sandbox(
            &config.sandbox,
            config.upstream,
            &data,
            &host_token,
            blobs.clone(),
            clock.clone(),
            observer,
        )?;
        let plugins = Arc::new(Plugins::new(
            store,
            Arc::new(SandboxHost(sandbox.clone())),
            data.join("plugins"),
            plugin_host::trust_policy(&config.plugins)?,
            clock,
        ));
        Ok(Self { sandbox, blobs, blob_folder, plugins, host_token })
    }
}

/// The way out for mail, where there is one.
fn mail_sender(config: &Config) -> anyhow::Result<Option<Arc<dyn MailSender>>> {
    let Some(mail) = &config.mail else { return Ok(None) };
    Ok(Some(Arc::new(SmtpSender::new(mail)?)))
}

/// The addresses at which providers call this server back.
async fn callback_addresses(config: &Config) -> anyhow::Result<CallbackAddresses> {
    let key = key(config, KeyFile::Callbacks).await.context("the key of callback addresses")?;
    Ok(CallbackAddresses::new(key, config.server.public_url.clone()))
}

async fn key(config: &Config, file: KeyFile) -> anyhow::Result<[u8; 32]> {
    let data = config.storage.path.clone();
    Ok(tokio::task::spawn_blocking(move || file.read_or_make(&data)).await??)
}

async fn open_store(config: &Config) -> anyhow::Result<Arc<Store>> {
    let folder = config.storage.database();
    let shown = folder.display().to_string();
    let config = config.clone();
    let opening = tokio::task::spawn_blocking(move || {
        let store = Store::open(folder)?;
        sealing::unseal(&config, &store)?;
        anyhow::Ok(store)
    });
    let store = opening.await.context("opening the store")?;
    Ok(Arc::new(store.with_context(|| format!("the store in {shown} cannot be opened"))?))
}
