//! What is decided for each table: which part of an export of an account has what is in it, or why none has.

use std::collections::BTreeSet;

use atelier_domain::export::Section;

use crate::schema::Table;

/// Where a user finds what a table has of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Export {
    /// In this part.
    In(Section),
    /// It says again, in another order or in sum, what another table has.
    Derived,
    /// Nobody is given it: digests, sealed keys, tokens.
    Secret,
    /// It is there for what is under way: what comes of it is elsewhere.
    Passing,
    /// It has no row of a user's.
    NotTheirs,
}

/// Every table has one: a new table is a decision to be made.
fn export(table: Table) -> Export {
    use Export::{Derived, In, NotTheirs, Passing, Secret};
    match table {
        Table::Users => In(Section::Account),
        Table::Keys => In(Section::Keys),
        Table::Sessions => In(Section::Sessions),
        Table::ProviderKeys => In(Section::ProviderKeys),
        Table::Files => In(Section::Files),
        Table::Jobs => In(Section::Generations),
        Table::TrainingsByOwner => In(Section::FineTuning),
        Table::Batches => In(Section::Batches),
        Table::Conversations => In(Section::Conversations),
        Table::ChatMessages => In(Section::Messages),
        Table::Responses => In(Section::Responses),
        Table::Links => In(Section::Links),
        Table::WebhookEndpoints => In(Section::WebhookEndpoints),
        Table::Deliveries => In(Section::WebhookDeliveries),
        Table::Balances => In(Section::Credits),
        Table::Entries => In(Section::CreditEntries),
        Table::Spending | Table::Allowances => In(Section::Budget),
        Table::Usage => In(Section::Usage),
        Table::UsageTotals => In(Section::UsageTotals),
        Table::Audit => In(Section::Audit),
        // Orders and counts.
        Table::UserNames
        | Table::KeysByOwner
        | Table::JobsByOwner
        | Table::JobsOpenByOwner
        | Table::JobsFailed
        | Table::VideosByOwner
        | Table::Chunks
        | Table::EventHeads
        | Table::DeliveriesById
        | Table::FilesByOwner
        | Table::FilesByPurpose
        | Table::FileBytes
        | Table::FilesExpiring
        | Table::FileUses
        | Table::BlobNames
        | Table::LinksByOwner
        | Table::LinksExpiring
        | Table::BatchesByOwner
        | Table::ConversationsByActivity
        | Table::ChatMessagesByParent
        | Table::ConversationShelves
        | Table::Postings
        | Table::ResponsesExpiring
        | Table::SessionsByOwner
        | Table::SessionsExpiring => Derived,
        // What happened to jobs, which the jobs themselves say.
        Table::Events => Derived,
        Table::Credentials | Table::MailTokens | Table::MailTokensByAddress | Table::MailTokensExpiring => {
            Secret
        }
        // Answers to requests with a key, kept for a day: what they made is elsewhere.
        Table::Claims | Table::ClaimBodies | Table::ClaimsByExpiry | Table::ClaimBytes => Passing,
        // In the batch's result files once it has ended.
        Table::BatchLines | Table::BatchesOpen => Passing,
        // Removed by their owner: what is left is a time of grace for their content.
        Table::FilesLeaving => Passing,
        Table::WebhookQueues | Table::DeliveriesDue | Table::DeliveriesPending => Passing,
        Table::Mails | Table::MailsDue | Table::AnswersPending | Table::ConversationsRemoved => Passing,
        // Who is deleted exports nothing any more.
        Table::Deletions | Table::DeletionsOpen => Passing,
        // Templates are the operator's: who may use one is theirs to say.
        Table::Templates
        | Table::TemplateVersions
        | Table::TemplateNames
        | Table::TemplatesListed
        | Table::TemplateCount
        | Table::Plugins
        | Table::CallbackMarks
        | Table::JournalPlace
        | Table::SealingKeys
        | Table::Renditions => NotTheirs,
        // Of schema 2, emptied by its migration.
        Table::JobsOpen | Table::JobEvents | Table::Holds => NotTheirs,
    }
}

#[test]
fn every_part_of_an_export_has_a_table_and_every_table_a_decision() {
    let parts: BTreeSet<Section> = Table::ALL
        .iter()
        .filter_map(|table| match export(*table) {
            Export::In(section) => Some(section),
            Export::Derived | Export::Secret | Export::Passing | Export::NotTheirs => None,
        })
        .collect();
    assert_eq!(parts, BTreeSet::from(Section::ALL));
}
