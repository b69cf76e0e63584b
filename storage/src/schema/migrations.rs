//! How an older database becomes a current one.

use atelier_domain::store::StoreError;

use super::SCHEMA_VERSION;
use crate::engine::Engine;
use crate::store::name_blobs;

/// Brings a database to the version one above that of its index here. It may run again after a crash in its middle,
/// so it must bear to find its own work.
type Migration = fn(&Engine) -> Result<(), StoreError>;

/// Version 1 is the first: an empty database needs nothing but its number. Version 2 has more tables, which
/// opening makes, and knows which rows name a blob.
const MIGRATIONS: [Migration; SCHEMA_VERSION as usize] = [|_| Ok(()), name_blobs];

/// Refuses a database of a newer schema.
pub(crate) fn check(found: u32) -> Result<(), StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Table;

    fn engine(folder: &std::path::Path) -> Engine {
        let mark = |commit| {
            let reached = crate::mark::Reached { commit, length: 0 };
            crate::mark::Mark::open(folder, reached).map_err(crate::engine::unavailable)
        };
        Engine::open(&folder.join("db"), mark).expect("opened")
    }

    #[test]
    fn a_newer_database_is_refused_with_what_to_do_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let newer = engine(folder.path());
        newer.set_schema(SCHEMA_VERSION + 1).expect("written");
        newer.close().expect("closed");
        let error = crate::Store::open(folder.path()).expect_err("newer").to_string();
        assert!(error.contains("newer program") && error.contains("backup"), "{error}");
    }

    #[test]
    fn a_migration_that_was_interrupted_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = crate::Store::open(folder.path()).expect("opened");
        let job = crate::contract::sample::job(atelier_domain::id::UserId::new());
        atelier_domain::store::JobStore::create_job(&store, &(&job).into()).expect("created");
        drop(store);
        let all = || (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        let old = engine(folder.path());
        let names = old.keys(Table::BlobNames, all(), 9).expect("read");
        assert_eq!(names.len(), 2, "an input and an output");
        // As version 1 left it, its migration half done and its number not yet raised.
        old.write(|txn| txn.remove(Table::BlobNames, &names[0])).expect("removed");
        old.set_schema(1).expect("written");
        old.close().expect("closed");
        let _unsealed = std::fs::remove_file(folder.path().join("seal"));
        let store = crate::Store::open(folder.path()).expect("opened");
        assert_eq!(store.schema_version().expect("read"), SCHEMA_VERSION);
        store.verify().expect("whole");
        drop(store);
        assert_eq!(engine(folder.path()).keys(Table::BlobNames, all(), 9).expect("read"), names);
    }
}
