//! The tables, and how an older database becomes a current one.

use std::fmt;

use atelier_domain::store::StoreError;

use crate::engine::Engine;
use crate::store::name_blobs;

/// The schema that this program reads and writes.
pub const SCHEMA_VERSION: u32 = 2;

/// A table: one tree of the engine. The discriminant enters the checksum of rows: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    /// User id → user.
    Users = 0,
    /// Name → user id.
    UserNames = 1,
    /// Digest of the secret → key.
    Keys = 2,
    /// Owner, key id → digest.
    KeysByOwner = 3,
    /// Plugin id → plugin.
    Plugins = 4,
    /// Job id → job.
    Jobs = 5,
    /// Owner, inverted job id → nothing.
    JobsByOwner = 6,
    /// Wake time, job id → nothing; jobs that are not final.
    JobsOpen = 7,
    /// Owner, inverted job id → nothing; jobs that are not final.
    JobsOpenByOwner = 8,
    /// Parts of rows too large for one page: see `engine`.
    Chunks = 9,
    /// Owner, number → event.
    Events = 40,
    /// Owner → the numbers of their oldest event that is kept and of their next.
    EventHeads = 41,
    /// Job id → the numbers of its events.
    JobEvents = 42,
    /// Owner → their endpoints.
    WebhookEndpoints = 43,
    /// Endpoint id → how much waits for it.
    WebhookQueues = 44,
    /// Endpoint id, inverted delivery id → delivery.
    Deliveries = 45,
    /// Delivery id → endpoint id.
    DeliveriesById = 46,
    /// Endpoint id, time, delivery id → nothing; deliveries that are pending.
    DeliveriesDue = 47,
    /// Delivery id → nothing; deliveries that are pending.
    DeliveriesPending = 48,
    /// Period, hash of a processed callback → nothing.
    CallbackMarks = 49,
    /// Owner, digest of a key → claim.
    Claims = 30,
    /// The same → the body of the kept answer, its bytes as they are.
    ClaimBodies = 31,
    /// Expiry, then the same → nothing.
    ClaimsByExpiry = 32,
    /// Owner → bytes of all their kept answers.
    ClaimBytes = 33,
    /// Length and text of an error's code, inverted job id → nothing; jobs that failed.
    JobsFailed = 34,
    /// File id → file.
    Files = 50,
    /// Owner, file id → nothing.
    FilesByOwner = 51,
    /// Owner, purpose, file id → nothing.
    FilesByPurpose = 52,
    /// Owner → bytes of their files.
    FileBytes = 53,
    /// End, file id → nothing; files that go by themselves.
    FilesExpiring = 54,
    /// Owner → how many files they have, and what they have removed that is leaving.
    FileUses = 90,
    /// Time of removal, file id → removed file; whose content may be there still.
    FilesLeaving = 91,
    /// Blob id, what names it, its id → nothing.
    BlobNames = 55,
    /// Link id → link.
    Links = 56,
    /// Owner, inverted link id → nothing.
    LinksByOwner = 57,
    /// End, link id → nothing.
    LinksExpiring = 58,
    /// Owner, inverted job id → nothing; trainings.
    TrainingsByOwner = 59,
    /// Template id → its newest version's number, and since when it is archived.
    Templates = 70,
    /// Template id, version → template.
    TemplateVersions = 71,
    /// Name → template id; templates that are not archived.
    TemplateNames = 72,
    /// Inverted template id → nothing; templates that are not archived.
    TemplatesListed = 73,
    /// One row: how many templates are not archived.
    TemplateCount = 74,
    /// Account → balance.
    Balances = 10,
    /// User, inverted entry id → entry.
    Entries = 11,
    /// Job id → hold; jobs that are not final.
    Holds = 12,
    /// User or key → budget and spending.
    Spending = 13,
    /// User, inverted record id → usage record.
    Usage = 14,
    /// User or all, dimension, day, value → sums.
    UsageTotals = 15,
    /// Allowance id → what is left of it.
    Allowances = 16,
    /// One row: up to where the journal of live calls is in the books.
    JournalPlace = 17,
}

impl Table {
    pub(crate) const ALL: [Table; 50] = [
        Table::Users,
        Table::UserNames,
        Table::Keys,
        Table::KeysByOwner,
        Table::Plugins,
        Table::Jobs,
        Table::JobsByOwner,
        Table::JobsOpen,
        Table::JobsOpenByOwner,
        Table::Chunks,
        Table::Events,
        Table::EventHeads,
        Table::JobEvents,
        Table::WebhookEndpoints,
        Table::WebhookQueues,
        Table::Deliveries,
        Table::DeliveriesById,
        Table::DeliveriesDue,
        Table::DeliveriesPending,
        Table::CallbackMarks,
        Table::Claims,
        Table::ClaimBodies,
        Table::ClaimsByExpiry,
        Table::ClaimBytes,
        Table::JobsFailed,
        Table::Files,
        Table::FilesByOwner,
        Table::FilesByPurpose,
        Table::FileBytes,
        Table::FilesExpiring,
        Table::FileUses,
        Table::FilesLeaving,
        Table::BlobNames,
        Table::Links,
        Table::LinksByOwner,
        Table::LinksExpiring,
        Table::TrainingsByOwner,
        Table::Templates,
        Table::TemplateVersions,
        Table::TemplateNames,
        Table::TemplatesListed,
        Table::TemplateCount,
        Table::Balances,
        Table::Entries,
        Table::Holds,
        Table::Spending,
        Table::Usage,
        Table::UsageTotals,
        Table::Allowances,
        Table::JournalPlace,
    ];

    /// Its place in [`Self::ALL`].
    pub(crate) fn index(self) -> usize {
        const PLACES: [u8; 256] = {
            let mut places = [u8::MAX; 256];
            let mut place = 0;
            while place < Table::ALL.len() {
                places[Table::ALL[place] as usize] = place as u8;
                place += 1;
            }
            places
        };
        usize::from(PLACES[self as usize])
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Table::Users => "users",
            Table::UserNames => "user_names",
            Table::Keys => "keys",
            Table::KeysByOwner => "keys_by_owner",
            Table::Plugins => "plugins",
            Table::Jobs => "jobs",
            Table::JobsByOwner => "jobs_by_owner",
            Table::JobsOpen => "jobs_open",
            Table::JobsOpenByOwner => "jobs_open_by_owner",
            Table::Chunks => "chunks",
            Table::Events => "events",
            Table::EventHeads => "event_heads",
            Table::JobEvents => "job_events",
            Table::WebhookEndpoints => "webhook_endpoints",
            Table::WebhookQueues => "webhook_queues",
            Table::Deliveries => "deliveries",
            Table::DeliveriesById => "deliveries_by_id",
            Table::DeliveriesDue => "deliveries_due",
            Table::DeliveriesPending => "deliveries_pending",
            Table::CallbackMarks => "callback_marks",
            Table::Claims => "claims",
            Table::ClaimBodies => "claim_bodies",
            Table::ClaimsByExpiry => "claims_by_expiry",
            Table::ClaimBytes => "claim_bytes",
            Table::JobsFailed => "jobs_failed",
            Table::Files => "files",
            Table::FilesByOwner => "files_by_owner",
            Table::FilesByPurpose => "files_by_purpose",
            Table::FileBytes => "file_bytes",
            Table::FilesExpiring => "files_expiring",
            Table::FileUses => "file_uses",
            Table::FilesLeaving => "files_leaving",
            Table::BlobNames => "blob_names",
            Table::Links => "links",
            Table::LinksByOwner => "links_by_owner",
            Table::LinksExpiring => "links_expiring",
            Table::TrainingsByOwner => "trainings_by_owner",
            Table::Templates => "templates",
            Table::TemplateVersions => "template_versions",
            Table::TemplateNames => "template_names",
            Table::TemplatesListed => "templates_listed",
            Table::TemplateCount => "template_count",
            Table::Balances => "balances",
            Table::Entries => "ledger_entries",
            Table::Holds => "holds",
            Table::Spending => "spending",
            Table::Usage => "usage",
            Table::UsageTotals => "usage_totals",
            Table::Allowances => "allowances",
            Table::JournalPlace => "journal_place",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Brings a database to the version one above that of its index here. It may run again after a crash in its middle,
/// so it must bear to find its own work.
type Migration = fn(&Engine) -> Result<(), StoreError>;

/// Version 1 is the first: an empty database needs nothing but its number. Version 2 has more tables, which
/// opening makes, and knows which rows name a blob.
const MIGRATIONS: [Migration; SCHEMA_VERSION as usize] = [|_| Ok(()), name_blobs];

/// Refuses a database of a newer schema.
pub(crate) fn check(engine: &Engine) -> Result<(), StoreError> {
    let found = engine.schema()?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Unavailable(format!(
            "the database has schema {found}, this program knows up to {SCHEMA_VERSION}: use a newer program, or restore the backup made before the upgrade"
        )));
    }
    Ok(())
}

/// Runs what is missing. The number is raised, durably, after each step.
pub(crate) fn migrate(engine: &Engine) -> Result<(), StoreError> {
    for version in engine.schema()?..SCHEMA_VERSION {
        MIGRATIONS[version as usize](engine)?;
        engine.set_schema(version + 1)?;
    }
    Ok(())
}
