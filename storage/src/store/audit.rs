use std::ops::Bound;

use atelier_domain::audit::{AuditPage, AuditRecord, AuditRecords, AuditStore};
use atelier_domain::id::AuditId;
use atelier_domain::store::{StoreError, SweepPage, SweepPlace, Swept};
use atelier_domain::time::Timestamp;

use super::Store;
use super::rows::{read, write};
use crate::codec::damaged;
use crate::schema::Table;

impl AuditStore for Store {
    fn audit(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        self.engine().write(|txn| {
            for record in records {
                let key = record.id.as_bytes();
                let row = match read::<AuditRecord>(txn, Table::Audit, key)? {
                    Some(begun) if begun.status.is_none() => {
                        AuditRecord { status: record.status, code: record.code.clone(), ..begun }
                    }
                    Some(_) => {
                        let what = format!("audit record {}", record.id);
                        return Err(StoreError::Exists { what }.into());
                    }
                    None => record.clone(),
                };
                write(txn, Table::Audit, key, &row)?;
            }
            Ok(())
        })
    }

    fn audited(&self, page: &AuditPage, looked_at_max: usize) -> Result<AuditRecords, StoreError> {
        let last = page.before.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes().to_vec()));
        let keys = self.engine().keys_back(Table::Audit, (Bound::Unbounded, last), looked_at_max)?;
        let mut found = AuditRecords::default();
        let looked_at = keys.len();
        for (place, key) in keys.into_iter().enumerate() {
            // One that was swept since its key was read is left out.
            let record = self.row::<AuditRecord>(Table::Audit, &key)?;
            found.records.extend(record.filter(|record| {
                page.kind.is_none_or(|kind| record.kind == kind)
                    && page.user.is_none_or(|user| record.actor.is_some_and(|actor| actor.user == user))
            }));
            let is_last = place + 1 == looked_at;
            if found.records.len() == page.limit || (is_last && looked_at == looked_at_max) {
                found.next = Some(id(&key)?);
                break;
            }
        }
        Ok(found)
    }

    fn sweep_audit(&self, before: Timestamp, page: &SweepPage) -> Result<Swept, StoreError> {
        let first = page.after.clone().map_or(Bound::Unbounded, |SweepPlace(key)| Bound::Excluded(key));
        let keys = self.engine().keys(Table::Audit, (first, Bound::Unbounded), page.limit)?;
        let mut swept = Swept::default();
        let old = keys.iter().map(|key| Ok((id(key)?.made() < before, key)));
        let old = old.collect::<Result<Vec<_>, StoreError>>()?;
        let old: Vec<_> = old.into_iter().take_while(|(is_old, _)| *is_old).map(|(_, key)| key).collect();
        self.engine()
            .write_soon(|txn| old.iter().try_for_each(|key| txn.remove(Table::Audit, key).map(drop)))?;
        swept.removed = old.len();
        if old.len() == page.limit {
            swept.next = keys.last().cloned().map(SweepPlace);
        }
        Ok(swept)
    }
}

fn id(key: &[u8]) -> Result<AuditId, StoreError> {
    let id = key.as_array().ok_or_else(|| damaged(Table::Audit, key, "it is no record's id"))?;
    Ok(AuditId::from_bytes(*id))
}
