//! A job's row: the job, and which of its events are kept.

use atelier_domain::id::JobId;
use atelier_domain::job::Job;
use serde::{Deserialize, Serialize};

use crate::engine::{Txn, TxnError};
use crate::schema::Table;
use crate::store::events::Told;
use crate::store::rows;

#[derive(Clone, Debug, Deserialize)]
pub(in crate::store) struct JobRow {
    pub(in crate::store) job: Job,
    pub(in crate::store) told: Told,
}

/// The same, to be written.
#[derive(Serialize)]
struct Written<'a> {
    job: &'a Job,
    told: &'a Told,
}

impl JobRow {
    /// A job's row within a transaction.
    pub(in crate::store) fn read(txn: &Txn<'_>, id: JobId) -> Result<Option<Self>, TxnError> {
        rows::read(txn, Table::Jobs, id.as_bytes())
    }

    pub(in crate::store) fn write(&self, txn: &Txn<'_>) -> Result<(), TxnError> {
        write(txn, &self.job, &self.told)
    }
}

pub(super) fn write(txn: &Txn<'_>, job: &Job, told: &Told) -> Result<(), TxnError> {
    rows::write(txn, Table::Jobs, job.id.as_bytes(), &Written { job, told })
}
