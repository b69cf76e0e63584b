//! What a user takes with them: the parts of an export of their account.

/// One part of an export. What a user has and no part holds is decided table by table beside the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Who they are here.
    Account,
    Keys,
    Sessions,
    ProviderKeys,
    Files,
    Generations,
    FineTuning,
    Batches,
    Conversations,
    Messages,
    Responses,
    Links,
    WebhookEndpoints,
    WebhookDeliveries,
    Credits,
    CreditEntries,
    Budget,
    Usage,
    UsageTotals,
    Audit,
}

impl Section {
    /// All of them, in the order of an export.
    pub const ALL: [Section; 20] = [
        Section::Account,
        Section::Keys,
        Section::Sessions,
        Section::ProviderKeys,
        Section::Files,
        Section::Generations,
        Section::FineTuning,
        Section::Batches,
        Section::Conversations,
        Section::Messages,
        Section::Responses,
        Section::Links,
        Section::WebhookEndpoints,
        Section::WebhookDeliveries,
        Section::Credits,
        Section::CreditEntries,
        Section::Budget,
        Section::Usage,
        Section::UsageTotals,
        Section::Audit,
    ];

    /// The name of its document: one JSON object (`.json`), or one a line (`.ndjson`).
    pub fn document(self) -> &'static str {
        match self {
            Section::Account => "account.json",
            Section::Keys => "keys.ndjson",
            Section::Sessions => "sessions.ndjson",
            Section::ProviderKeys => "provider_keys.ndjson",
            Section::Files => "files.ndjson",
            Section::Generations => "generations.ndjson",
            Section::FineTuning => "fine_tuning_jobs.ndjson",
            Section::Batches => "batches.ndjson",
            Section::Conversations => "conversations.ndjson",
            Section::Messages => "messages.ndjson",
            Section::Responses => "responses.ndjson",
            Section::Links => "links.ndjson",
            Section::WebhookEndpoints => "webhook_endpoints.ndjson",
            Section::WebhookDeliveries => "webhook_deliveries.ndjson",
            Section::Credits => "credits.json",
            Section::CreditEntries => "credit_entries.ndjson",
            Section::Budget => "budget.json",
            Section::Usage => "usage.ndjson",
            Section::UsageTotals => "usage_totals.ndjson",
            Section::Audit => "audit.ndjson",
        }
    }

    /// What it holds, for people.
    pub fn about(self) -> &'static str {
        match self {
            Section::Account => "who you are here",
            Section::Keys => "your API keys, without their secrets",
            Section::Sessions => "where you are signed in",
            Section::ProviderKeys => "for which providers you keep keys of your own, without the keys",
            Section::Files => "your files; their content is files/ID",
            Section::Generations => {
                "what you asked to be made and what came of it; content is generations/ID/input-N and generations/ID/output-N"
            }
            Section::FineTuning => "models that you had trained",
            Section::Batches => "your batches; what was asked and answered is in their files",
            Section::Conversations => "your conversations",
            Section::Messages => "what was said in them, on all branches; files are messages/ID-N",
            Section::Responses => "answers that were kept (OpenAI's responses)",
            Section::Links => "links that you shared",
            Section::WebhookEndpoints => "where you are told of events, without the secrets",
            Section::WebhookDeliveries => "what was told there",
            Section::Credits => "your balance",
            Section::CreditEntries => "each movement of your credits",
            Section::Budget => "what you may spend and have spent",
            Section::Usage => "your calls, one by one",
            Section::UsageTotals => "sums of them by day",
            Section::Audit => "what you administered, and what you were refused for safety's sake",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_part_has_a_document_of_its_own() {
        let names: BTreeSet<_> = Section::ALL.map(Section::document).into();
        assert_eq!(names.len(), Section::ALL.len());
        assert!(Section::ALL.is_sorted());
    }
}
