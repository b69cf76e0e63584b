//! The tables, and how an older database becomes a current one.

mod migrations;

use std::fmt;

pub(crate) use migrations::{check, migrate};

/// The schema that this program reads and writes.
pub const SCHEMA_VERSION: u32 = 3;

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
    /// Job id → job and the numbers of its events.
    Jobs = 5,
    /// Owner, inverted job id → nothing.
    JobsByOwner = 6,
    /// Of schema 2, emptied by its migration: wake time, job id → nothing.
    JobsOpen = 7,
    /// Owner, inverted job id → when it is due, and its hold; jobs that are not final.
    JobsOpenByOwner = 8,
    /// Parts of rows too large for one page: see `engine`.
    Chunks = 9,
    /// Owner, number → event.
    Events = 40,
    /// Owner → the numbers of their oldest event that is kept and of their next.
    EventHeads = 41,
    /// Of schema 2, emptied by its migration: job id → the numbers of its events.
    JobEvents = 42,
    /// Owner → their endpoints; sealed.
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
    /// Owner, inverted job id → nothing; videos.
    VideosByOwner = 60,
    /// Batch id → batch.
    Batches = 61,
    /// Owner, inverted batch id → nothing.
    BatchesByOwner = 62,
    /// Batch id → nothing; batches that are not final.
    BatchesOpen = 63,
    /// Batch id, line → how its request ended.
    BatchLines = 64,
    /// Conversation id → conversation.
    Conversations = 80,
    /// Owner, archived or not, inverted time of its last message, inverted conversation id → nothing.
    ConversationsByActivity = 81,
    /// Conversation id, message id → message.
    ChatMessages = 82,
    /// Conversation id, the message that it follows, message id → nothing.
    ChatMessagesByParent = 83,
    /// Conversation id, message id → owner; answers that are being made.
    AnswersPending = 84,
    /// Owner → how much their conversations are.
    ConversationShelves = 85,
    /// Conversation id → owner; conversations whose messages are to go.
    ConversationsRemoved = 86,
    /// Owner, word, inverted id of a text, its conversation, how often → nothing: see `store::conversations::postings`.
    Postings = 87,
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
    /// Response id → answer that is kept.
    Responses = 65,
    /// End, response id → nothing.
    ResponsesExpiring = 66,
    /// Record id → audit record.
    Audit = 97,
    /// Owner → their own keys of providers; sealed.
    ProviderKeys = 98,
    /// One row: the keys that seal, wrapped.
    SealingKeys = 99,
    /// Blob id, what is made of it → rendition.
    Renditions = 88,
    /// Account → balance.
    Balances = 10,
    /// User, inverted entry id → entry.
    Entries = 11,
    /// Of schema 2, emptied by its migration: job id → hold.
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
    /// User id → what they sign in with.
    Credentials = 100,
    /// Digest of the secret → session.
    Sessions = 101,
    /// Owner, session id → digest.
    SessionsByOwner = 102,
    /// End, session id → digest.
    SessionsExpiring = 103,
    /// Mail id → mail that waits.
    Mails = 104,
    /// When it is due, mail id → nothing.
    MailsDue = 105,
    /// Digest of the secret → what was mailed with it.
    MailTokens = 106,
    /// What it is for, address → digest.
    MailTokensByAddress = 107,
    /// End, digest → nothing.
    MailTokensExpiring = 108,
    /// User id → their deletion, and how far what they stored is removed.
    Deletions = 110,
    /// User id → nothing; deletions that are not finished.
    DeletionsOpen = 111,
}

/// Groups of tables, each with sums of its own: see [`Table::group`].
pub(crate) const GROUPS: usize = 11;
/// The group of [`Table::OPEN_WORK`].
pub(crate) const OPEN_WORK: usize = GROUPS - 1;

impl Table {
    /// Tables whose size goes by what is open and not by what there is: all of them is read before the store is used.
    pub(crate) const OPEN_WORK: [Table; 8] = [
        Table::JobsOpen,
        Table::JobsOpenByOwner,
        Table::Holds,
        Table::Allowances,
        Table::JournalPlace,
        Table::Plugins,
        Table::BatchesOpen,
        Table::AnswersPending,
    ];

    /// Tables whose rows hold secrets that must be read again, and are sealed: see `sealing`.
    pub(crate) const SEALED: [Table; 2] = [Table::WebhookEndpoints, Table::ProviderKeys];

    /// Which sums its rows enter: those of open work, or those of the tables whose number has the same tens. Never change it for a
    /// table: the sums of stored databases would no longer agree.
    pub(crate) fn group(self) -> usize {
        if Self::OPEN_WORK.contains(&self) { OPEN_WORK } else { usize::from(self as u8 / 10) % OPEN_WORK }
    }

    pub(crate) const ALL: [Table; 80] = [
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
        Table::VideosByOwner,
        Table::Batches,
        Table::BatchesByOwner,
        Table::BatchesOpen,
        Table::BatchLines,
        Table::Conversations,
        Table::ConversationsByActivity,
        Table::ChatMessages,
        Table::ChatMessagesByParent,
        Table::AnswersPending,
        Table::ConversationShelves,
        Table::ConversationsRemoved,
        Table::Postings,
        Table::Templates,
        Table::TemplateVersions,
        Table::TemplateNames,
        Table::TemplatesListed,
        Table::TemplateCount,
        Table::Responses,
        Table::ResponsesExpiring,
        Table::Audit,
        Table::ProviderKeys,
        Table::SealingKeys,
        Table::Renditions,
        Table::Balances,
        Table::Entries,
        Table::Holds,
        Table::Spending,
        Table::Usage,
        Table::UsageTotals,
        Table::Allowances,
        Table::JournalPlace,
        Table::Credentials,
        Table::Sessions,
        Table::SessionsByOwner,
        Table::SessionsExpiring,
        Table::Mails,
        Table::MailsDue,
        Table::MailTokens,
        Table::MailTokensByAddress,
        Table::MailTokensExpiring,
        Table::Deletions,
        Table::DeletionsOpen,
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
            Table::VideosByOwner => "videos_by_owner",
            Table::Batches => "batches",
            Table::BatchesByOwner => "batches_by_owner",
            Table::BatchesOpen => "batches_open",
            Table::BatchLines => "batch_lines",
            Table::Conversations => "conversations",
            Table::ConversationsByActivity => "conversations_by_activity",
            Table::ChatMessages => "chat_messages",
            Table::ChatMessagesByParent => "chat_messages_by_parent",
            Table::AnswersPending => "answers_pending",
            Table::ConversationShelves => "conversation_shelves",
            Table::ConversationsRemoved => "conversations_removed",
            Table::Postings => "postings",
            Table::Templates => "templates",
            Table::TemplateVersions => "template_versions",
            Table::TemplateNames => "template_names",
            Table::TemplatesListed => "templates_listed",
            Table::TemplateCount => "template_count",
            Table::Responses => "responses",
            Table::ResponsesExpiring => "responses_expiring",
            Table::Audit => "audit",
            Table::ProviderKeys => "provider_keys",
            Table::SealingKeys => "sealing_keys",
            Table::Renditions => "renditions",
            Table::Balances => "balances",
            Table::Entries => "ledger_entries",
            Table::Holds => "holds",
            Table::Spending => "spending",
            Table::Usage => "usage",
            Table::UsageTotals => "usage_totals",
            Table::Allowances => "allowances",
            Table::JournalPlace => "journal_place",
            Table::Credentials => "credentials",
            Table::Sessions => "sessions",
            Table::SessionsByOwner => "sessions_by_owner",
            Table::SessionsExpiring => "sessions_expiring",
            Table::Mails => "mails",
            Table::MailsDue => "mails_due",
            Table::MailTokens => "mail_tokens",
            Table::MailTokensByAddress => "mail_tokens_by_address",
            Table::MailTokensExpiring => "mail_tokens_expiring",
            Table::Deletions => "deletions",
            Table::DeletionsOpen => "deletions_open",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_name_a_number_and_a_group_of_its_own_kind() {
        let mut names: Vec<_> = Table::ALL.iter().map(|table| table.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Table::ALL.len());
        for (place, table) in Table::ALL.iter().enumerate() {
            assert_eq!(table.index(), place, "{table}");
            assert_eq!(table.group() == OPEN_WORK, Table::OPEN_WORK.contains(table), "{table}");
        }
    }
}
