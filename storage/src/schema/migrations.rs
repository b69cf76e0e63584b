//! How an older database becomes a current one.

use atelier_domain::store::StoreError;

use super::SCHEMA_VERSION;
use crate::engine::Engine;
use crate::store::{gather_job_rows, name_blobs};

/// Brings a database to the version one above that of its index here. It may run again after a crash in its middle,
/// so it must bear to find its own work.
type Migration = fn(&Engine) -> Result<(), StoreError>;

/// Version 1 is the first: an empty database needs nothing but its number. Version 2 has more tables, which
/// opening makes, and knows which rows name a blob. Version 3 keeps in two rows of a job what were five.
const MIGRATIONS: [Migration; SCHEMA_VERSION as usize] = [|_| Ok(()), name_blobs, gather_job_rows];

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
    use std::ops::Bound;
    use std::path::Path;

    use atelier_domain::id::UserId;
    use atelier_domain::job::Job;
    use atelier_domain::store::{EventStore as _, JobStore as _};

    use super::*;
    use crate::codec::{decode, encode};
    use crate::schema::Table;

    fn engine(folder: &Path) -> Engine {
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

    const ALL: (Bound<Vec<u8>>, Bound<Vec<u8>>) = (Bound::Unbounded, Bound::Unbounded);

    /// A closed store with two open jobs, the newer of them in the rows of version 2.
    fn half_gathered(folder: &Path) -> [Job; 2] {
        let store = crate::Store::open(folder).expect("opened");
        let jobs = [(); 2].map(|()| crate::contract::sample::job(UserId::new()));
        jobs.iter().for_each(|job| store.create_job(&job.into()).expect("created"));
        drop(store);
        let old = engine(folder);
        let job = &jobs[1];
        let (key, owned) = (job.id.as_bytes(), crate::keys::owned_job(job.owner, job.id));
        let put = old.write(|txn| {
            txn.put(Table::Jobs, key, &encode(Table::Jobs, job)?)?;
            txn.put(Table::JobEvents, key, b"\x01{\"numbers\":[1],\"forgotten\":0,\"percent\":0}")?;
            txn.put_key(Table::JobsOpenByOwner, &owned)?;
            let due: [u8; 24] =
                [&job.wake_at.0.to_be_bytes()[..], key].concat().try_into().expect("24 bytes");
            txn.put_key(Table::JobsOpen, &due)
        });
        put.expect("written");
        old.set_schema(2).expect("written");
        old.close().expect("closed");
        let _unsealed = std::fs::remove_file(folder.join("seal"));
        jobs
    }

    #[test]
    fn a_migration_that_was_interrupted_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = half_gathered(folder.path());
        let store = crate::Store::open(folder.path()).expect("opened");
        assert_eq!(store.schema_version().expect("read"), SCHEMA_VERSION);
        store.verify().expect("whole");
        assert_eq!(store.open_jobs(9).expect("read").len(), 2);
        for job in &jobs {
            assert_eq!(store.job(job.id).expect("read").as_ref(), Some(job));
            let told = store.events_of_job(job.owner, job.id, 0).expect("read");
            assert_eq!((told.is_cut, told.events.len()), (false, 1));
        }
        drop(store);
        for table in [Table::JobsOpen, Table::JobEvents, Table::Holds] {
            assert!(engine(folder.path()).keys(table, ALL, 9).expect("read").is_empty(), "{table}");
        }
    }

    #[test]
    fn names_of_blobs_that_were_half_written_are_written() {
        let folder = tempfile::tempdir().expect("a folder");
        half_gathered(folder.path());
        let old = engine(folder.path());
        // Version 1 knew no newer rows.
        let newer = old.keys(Table::Jobs, ALL, 1).expect("read").remove(0);
        let names = old.keys(Table::BlobNames, ALL, 9).expect("read");
        let undo = old.write(|txn| {
            let row = txn.get(Table::Jobs, &newer)?.expect("there");
            let row: serde_json::Value = decode(Table::Jobs, &newer, &row)?;
            txn.put(Table::Jobs, &newer, &encode(Table::Jobs, &row["job"])?)?;
            txn.remove(Table::BlobNames, &names[0])
        });
        undo.expect("written");
        old.set_schema(1).expect("written");
        old.close().expect("closed");
        crate::Store::open(folder.path()).expect("opened").verify().expect("whole");
        assert_eq!(engine(folder.path()).keys(Table::BlobNames, ALL, 9).expect("read"), names);
    }
}
