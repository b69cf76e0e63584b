mod gather;
pub(super) mod open;
mod row;

use std::ops::Bound;

use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::{Erasure, Job, JobPage};
use atelier_domain::store::{JobStore, NewJob, StoreError};
use atelier_domain::time::Timestamp;

use super::deletions::refuse_deleted;
use super::events::Told;
use super::{Store, blob_names, claims, events, ledger};
use crate::codec::{damaged, decode};
use crate::engine::{Txn, TxnError};
use crate::keys;
use crate::schema::Table;

pub(crate) use gather::gather_job_rows;
pub(super) use row::JobRow;

impl JobStore for Store {
    fn create_job(&self, new: &NewJob<'_>) -> Result<(), StoreError> {
        let (job, now) = (new.job, events::now());
        let hold = new.hold.filter(|hold| !hold.amount.is_zero());
        let noted = self.engine().write(|txn| {
            if txn.contains(Table::Jobs, job.id.as_bytes())? {
                return Err(StoreError::Exists { what: format!("job {}", job.id) }.into());
            }
            refuse_deleted(txn, job.owner)?;
            if let Some((key, claim)) = new.claim {
                claims::claim_for_job(txn, key, claim, job.created)?;
            }
            txn.put_key(Table::JobsByOwner, &keys::owned_job(job.owner, job.id))?;
            if let Some(hold) = hold {
                ledger::place_hold(txn, job, hold)?;
            }
            index_failed(txn, None, job)?;
            if let Some(table) = list_of(job) {
                txn.put_key(table, &keys::owned_job(job.owner, job.id))?;
            }
            open::put(txn, job, hold)?;
            blob_names::follow(txn, None, job)?;
            let mut told = Told::default();
            let noted = events::note(txn, None, job, now, &mut told)?;
            row::write(txn, job, &told)?;
            Ok(noted)
        })?;
        self.tell(noted);
        Ok(())
    }

    fn job_of(&self, owner: UserId, id: JobId) -> Result<Option<Job>, StoreError> {
        let job = self.job(id)?.filter(|job| job.owner == owner && !job.is_erased);
        // Its owner is about to be told.
        self.engine().settle()?;
        Ok(job)
    }

    fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        Ok(self.row::<JobRow>(Table::Jobs, id.as_bytes())?.map(|row| row.job))
    }

    fn jobs_of(&self, owner: UserId, before: Option<JobId>, limit: usize) -> Result<Vec<Job>, StoreError> {
        self.listed(Table::JobsByOwner, owner, &JobPage { after: before, limit, newest_first: true })
    }

    fn trainings_of(
        &self,
        owner: UserId,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError> {
        self.listed(Table::TrainingsByOwner, owner, &JobPage { after: before, limit, newest_first: true })
    }

    fn videos_of(&self, owner: UserId, page: &JobPage) -> Result<Vec<Job>, StoreError> {
        self.listed(Table::VideosByOwner, owner, page)
    }

    fn erase_job(&self, owner: UserId, id: JobId) -> Result<Erasure, StoreError> {
        self.engine().write(|txn| {
            let row = JobRow::read(txn, id)?;
            let (old, told) = match row.filter(|row| row.job.owner == owner && !row.job.is_erased) {
                None => return Ok(Erasure::Absent),
                Some(row) if !row.job.state.is_final() => return Ok(Erasure::Open),
                Some(row) => (row.job, row.told),
            };
            erase(txn, &old, &old.clone().erased(), &told)?;
            Ok(Erasure::Erased)
        })
    }

    fn change_job(&self, id: JobId, change: &dyn Fn(&mut Job) -> bool) -> Result<Option<Job>, StoreError> {
        let key = id.as_bytes();
        // The change runs outside the engine's lock and is committed only on the row that it saw. Another try is needed
        // only where another writer has succeeded.
        loop {
            let Some(old_row) = self.engine().get(Table::Jobs, key)? else { return Ok(None) };
            let JobRow { job: old, mut told } = decode(Table::Jobs, key, &old_row)?;
            let mut job = old.clone();
            if !change(&mut job) {
                return Ok(Some(old));
            }
            if (job.id, job.owner) != (old.id, old.owner) {
                let what = format!("the id or owner of job {id}, which must stay,");
                return Err(StoreError::Conflict { what });
            }
            if old.state.is_final() && !job.state.is_final() {
                return Err(StoreError::Conflict { what: format!("job {id}, which has ended,") });
            }
            let now = events::now();
            let closing = (job.state.is_final() && !old.state.is_final()).then(ledger::Closing::default);
            let written = self.engine().write(|txn| {
                if txn.get(Table::Jobs, key)?.as_ref() != Some(&old_row) {
                    return Ok(None);
                }
                match &closing {
                    Some(closing) => {
                        let hold = open::remove(txn, &job)?;
                        ledger::close(txn, &mut job, hold, closing)?;
                    }
                    None => open::follow(txn, &old, &job)?,
                }
                index_failed(txn, Some(&old), &job)?;
                blob_names::follow(txn, Some(&old), &job)?;
                let noted = events::note(txn, Some(&old), &job, now, &mut told)?;
                row::write(txn, &job, &told)?;
                Ok(Some((noted, job)))
            })?;
            if let Some((noted, job)) = written {
                self.tell(noted);
                return Ok(Some(job));
            }
        }
    }

    fn open_jobs(&self, limit: usize) -> Result<Vec<(Timestamp, JobId)>, StoreError> {
        let mut open: Vec<(Timestamp, JobId)> =
            open::all(self.engine())?.into_iter().map(|(id, open)| (open.wake_at, id)).collect();
        open.sort_unstable();
        open.truncate(limit);
        Ok(open)
    }

    fn failed_jobs(&self, code: &str, before: Option<JobId>, limit: usize) -> Result<Vec<Job>, StoreError> {
        let first = match before {
            Some(id) => Bound::Excluded(keys::failed_job(code, id)),
            None => Bound::Included(keys::failed_jobs(code)),
        };
        let last = Bound::Included([keys::failed_jobs(code).as_slice(), &[0xff; 16]].concat());
        let keys = self.engine().keys(Table::JobsFailed, (first, last), limit)?;
        let mut jobs = Vec::with_capacity(keys.len());
        for key in keys {
            let job = self.job(keys::job_of_failed(&key)?)?;
            jobs.push(job.ok_or_else(|| damaged(Table::JobsFailed, &key, "its job is gone"))?);
        }
        Ok(jobs)
    }

    fn open_job_count(&self, owner: UserId) -> Result<usize, StoreError> {
        self.engine().count(Table::JobsOpenByOwner, owner.as_bytes())
    }
}

impl Store {
    /// A page of an owner's jobs, by one of the tables that list them.
    fn listed(&self, table: Table, owner: UserId, page: &JobPage) -> Result<Vec<Job>, StoreError> {
        let position = page.after.map(|id| Bound::Excluded(keys::owned_job(owner, id).to_vec()));
        let first = Bound::Included(owner.as_bytes().to_vec());
        let last = Bound::Included([*owner.as_bytes(), [0xff; 16]].concat());
        // Keys sort newest first.
        let keys = if page.newest_first {
            self.engine().keys(table, (position.unwrap_or(first), last), page.limit)?
        } else {
            self.engine().keys_back(table, (first, position.unwrap_or(last)), page.limit)?
        };
        let mut jobs = Vec::with_capacity(keys.len());
        for key in keys {
            let job = self.job(keys::job_of_owned(&key)?)?;
            let job = job.filter(|job| job.owner == owner);
            let job = job.ok_or_else(|| damaged(table, &key, "its job is gone"))?;
            // One that was deleted since its key was read is left out.
            jobs.extend(Some(job).filter(|job| !job.is_erased));
        }
        self.engine().settle()?;
        Ok(jobs)
    }
}

/// Leaves what stays of a final job whose owner is deleted; `false` if it is open, or they have none such.
pub(super) fn orphan(txn: &Txn<'_>, owner: UserId, id: JobId) -> Result<bool, TxnError> {
    let row = JobRow::read(txn, id)?.filter(|row| row.job.owner == owner && row.job.state.is_final());
    let Some(JobRow { job: old, told }) = row else { return Ok(false) };
    erase(txn, &old, &old.clone().orphaned(), &told)?;
    Ok(true)
}

/// Writes what stays of a job, which is listed no more and names nothing.
fn erase(txn: &Txn<'_>, old: &Job, new: &Job, told: &Told) -> Result<(), TxnError> {
    let listed = keys::owned_job(old.owner, old.id);
    row::write(txn, new, told)?;
    txn.remove(Table::JobsByOwner, &listed)?;
    if let Some(table) = list_of(old) {
        txn.remove(table, &listed)?;
    }
    blob_names::follow(txn, Some(old), new)
}

/// Makes an open job due at `now`, and gives it as it then is. When it is looked at is nothing that anybody is told.
pub(super) fn wake(txn: &Txn<'_>, id: JobId, now: Timestamp) -> Result<Option<Job>, TxnError> {
    let Some(JobRow { job: old, told }) = JobRow::read(txn, id)? else { return Ok(None) };
    if old.state.is_final() || old.wake_at <= now {
        return Ok(Some(old));
    }
    let job = Job { wake_at: now, ..old.clone() };
    row::write(txn, &job, &told)?;
    open::follow(txn, &old, &job)?;
    Ok(Some(job))
}

/// The list that a job is in beside that of all jobs.
fn list_of(job: &Job) -> Option<Table> {
    match (&job.request.training, job.request.is_video()) {
        (Some(_), _) => Some(Table::TrainingsByOwner),
        (None, true) => Some(Table::VideosByOwner),
        (None, false) => None,
    }
}

/// Keeps the table of failed jobs in step with a job's row.
fn index_failed(txn: &Txn<'_>, old: Option<&Job>, new: &Job) -> Result<(), TxnError> {
    let key = |job: &Job| job.error.as_ref().map(|error| keys::failed_job(&error.code, job.id));
    let (was, is) = (old.and_then(key), key(new));
    if was == is {
        return Ok(());
    }
    if let Some(key) = was {
        txn.remove(Table::JobsFailed, &key)?;
    }
    match is {
        Some(key) => txn.put_key(Table::JobsFailed, &key),
        None => Ok(()),
    }
}
