//! What is decided for each table, and that an erasure does it.

use std::collections::BTreeSet;
use std::ops::Bound;

use atelier_domain::deletion::Advance;
use atelier_domain::id::UserId;
use atelier_domain::job::JobState;
use atelier_domain::store::DeletionStore as _;
use atelier_domain::time::Timestamp;

use crate::contract::deletions::erase;
use crate::contract::deletions::world::World;
use crate::contract::ledger::steps::end;
use crate::contract::sample::keeper;
use crate::schema::Table;
use crate::store::Store;

/// What becomes of a user's rows in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// They go.
    Erased,
    /// They stay under the user's id, without what the user wrote or is called.
    Tombstone,
    /// It has no row of a user's.
    NotTheirs,
}

/// Every table has one: a new table is a decision to be made.
fn decision(table: Table) -> Decision {
    use Decision::{Erased, NotTheirs, Tombstone};
    match table {
        Table::Users | Table::Deletions => Tombstone,
        // What the books and the operator's list of failures need of a job: see `Job::orphaned`.
        Table::Jobs | Table::JobsFailed => Tombstone,
        Table::Balances | Table::Entries | Table::Spending | Table::Usage | Table::UsageTotals => Tombstone,
        Table::Audit => Tombstone,
        // Who may use one: ids alone.
        Table::TemplateVersions => Tombstone,
        Table::Plugins
        | Table::Templates
        | Table::TemplateNames
        | Table::TemplatesListed
        | Table::TemplateCount
        | Table::CallbackMarks
        | Table::JournalPlace
        | Table::SealingKeys => NotTheirs,
        // By their content, with which they go.
        Table::Renditions => NotTheirs,
        // Of schema 2, emptied by its migration.
        Table::JobsOpen | Table::JobEvents | Table::Holds => NotTheirs,
        Table::UserNames
        | Table::Keys
        | Table::KeysByOwner
        | Table::JobsByOwner
        | Table::JobsOpenByOwner
        | Table::Chunks
        | Table::Events
        | Table::EventHeads
        | Table::WebhookEndpoints
        | Table::ProviderKeys
        | Table::WebhookQueues
        | Table::Deliveries
        | Table::DeliveriesById
        | Table::DeliveriesDue
        | Table::DeliveriesPending
        | Table::Claims
        | Table::ClaimBodies
        | Table::ClaimsByExpiry
        | Table::ClaimBytes
        | Table::Files
        | Table::FilesByOwner
        | Table::FilesByPurpose
        | Table::FileBytes
        | Table::FilesExpiring
        | Table::FileUses
        | Table::FilesLeaving
        | Table::BlobNames
        | Table::Links
        | Table::LinksByOwner
        | Table::LinksExpiring
        | Table::TrainingsByOwner
        | Table::VideosByOwner
        | Table::Batches
        | Table::BatchesByOwner
        | Table::BatchesOpen
        | Table::BatchLines
        | Table::Conversations
        | Table::ConversationsByActivity
        | Table::ChatMessages
        | Table::ChatMessagesByParent
        | Table::AnswersPending
        | Table::ConversationShelves
        | Table::ConversationsRemoved
        | Table::Postings
        | Table::Responses
        | Table::ResponsesExpiring
        | Table::Allowances
        | Table::Credentials
        | Table::Sessions
        | Table::SessionsByOwner
        | Table::SessionsExpiring
        | Table::Mails
        | Table::MailsDue
        | Table::MailTokens
        | Table::MailTokensByAddress
        | Table::MailTokensExpiring
        | Table::DeletionsOpen => Erased,
    }
}

type Rows = BTreeSet<(u8, Vec<u8>, Vec<u8>)>;

fn rows(store: &Store) -> Rows {
    let mut rows = Rows::new();
    for table in Table::ALL {
        for key in store.engine().keys(table, (Bound::Unbounded, Bound::Unbounded), usize::MAX).expect("read")
        {
            // A part of a row is none by itself.
            let value = match table {
                Table::Chunks => Vec::new(),
                _ => store.engine().get(table, &key).expect("read").expect("there"),
            };
            rows.insert((table as u8, key, value));
        }
    }
    rows
}

fn table_of(number: u8) -> Table {
    *Table::ALL.iter().find(|table| **table as u8 == number).expect("a table's number")
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn names(row: &(u8, Vec<u8>, Vec<u8>), user: UserId) -> bool {
    has(&row.1, user.as_bytes()) || has(&row.2, user.as_bytes()) || has(&row.2, user.to_string().as_bytes())
}

fn tells(row: &(u8, Vec<u8>, Vec<u8>), word: &str) -> bool {
    has(&row.1, word.as_bytes()) || has(&row.2, word.as_bytes())
}

#[test]
fn every_row_of_a_user_goes_or_stays_as_was_decided_for_its_table() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("opened");
    store.unseal(&keeper()).expect("unsealed");
    let nobodys = rows(&store);
    let made = World::fill(&store, "quokka");
    let user = made.user.id;
    let theirs: Rows = rows(&store).difference(&nobodys).cloned().collect();
    let filled: BTreeSet<u8> = theirs.iter().map(|row| row.0).collect();
    for table in Table::ALL.into_iter().filter(|table| decision(*table) == Decision::Erased) {
        let is_short_lived = matches!(table, Table::VideosByOwner | Table::Allowances | Table::DeletionsOpen);
        assert!(
            filled.contains(&(table as u8)) || is_short_lived,
            "the user of this test has nothing in {table}"
        );
    }
    store.delete_user(user, Timestamp(77)).expect("deleted");
    end(&store, &made.open, JobState::Canceled, 0);
    assert_eq!(erase(&store, user, 5), Advance::Finished);
    let left: Rows = rows(&store).difference(&nobodys).cloned().collect();
    for row in &left {
        let table = table_of(row.0);
        assert!(!tells(row, "quokka"), "a row of {table} tells what they wrote or are called");
        match decision(table) {
            Decision::Erased => panic!("a row of {table} is left: {:?}", String::from_utf8_lossy(&row.2)),
            Decision::Tombstone => {}
            Decision::NotTheirs => assert!(!names(row, user), "a row of {table} names them"),
        }
    }
}

#[test]
fn no_row_of_another_is_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("opened");
    store.unseal(&keeper()).expect("unsealed");
    let made = World::fill(&store, "quokka");
    let other = World::fill(&store, "wombat");
    // What other users removed goes sooner, and nothing else of theirs.
    while atelier_domain::store::ConversationStore::sweep_conversations(&store, 99).expect("swept") > 0 {}
    let of_other = |rows: Rows| -> Rows {
        rows.into_iter().filter(|row| names(row, other.user.id) || tells(row, "wombat")).collect()
    };
    let before = of_other(rows(&store));
    store.delete_user(made.user.id, Timestamp(77)).expect("deleted");
    end(&store, &made.open, JobState::Canceled, 0);
    assert_eq!(erase(&store, made.user.id, 5), Advance::Finished);
    assert!(before.len() > 100, "{}", before.len());
    assert_eq!(of_other(rows(&store)), before);
}
