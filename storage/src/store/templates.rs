use std::ops::Bound;

use atelier_domain::id::TemplateId;
use atelier_domain::store::{StoreError, TemplateStore};
use atelier_domain::template::{Template, TemplateFilter};
use atelier_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Store;
use super::rows::{read, write};
use crate::codec::damaged;
use crate::engine::{Txn, TxnError};
use crate::keys;
use crate::schema::Table;

/// The key of the one row of [`Table::TemplateCount`].
const COUNT: &[u8] = &[0];

/// What changes of a template: its versions stay as they were written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Head {
    version: u32,
    archived: Option<Timestamp>,
}

impl TemplateStore for Store {
    fn put_templates(&self, versions: &[Template], templates_max: usize) -> Result<bool, StoreError> {
        for template in versions {
            keys::template_name(&template.name)?;
        }
        let added = versions.iter().filter(|template| template.version == 1).count() as u64;
        self.engine().write(|txn| {
            let count = read::<u64>(txn, Table::TemplateCount, COUNT)?.unwrap_or(0) + added;
            if added > 0 && count > templates_max as u64 {
                return Ok(false);
            }
            write(txn, Table::TemplateCount, COUNT, &count)?;
            versions.iter().try_for_each(|template| put(txn, template))?;
            Ok(true)
        })
    }

    fn template(&self, id: TemplateId) -> Result<Option<Template>, StoreError> {
        match self.row::<Head>(Table::Templates, id.as_bytes())? {
            Some(head) => self.written(id, head.version, head),
            None => Ok(None),
        }
    }

    fn template_version(&self, id: TemplateId, version: u32) -> Result<Option<Template>, StoreError> {
        match self.row::<Head>(Table::Templates, id.as_bytes())? {
            Some(head) if (1..=head.version).contains(&version) => self.written(id, version, head),
            Some(_) | None => Ok(None),
        }
    }

    fn template_named(&self, name: &str) -> Result<Option<Template>, StoreError> {
        match self.row::<TemplateId>(Table::TemplateNames, keys::template_name(name)?)? {
            Some(id) => self.template(id),
            None => Ok(None),
        }
    }

    fn templates(
        &self,
        filter: &TemplateFilter,
        before: Option<TemplateId>,
        limit: usize,
        is_wanted: &dyn Fn(&Template) -> bool,
    ) -> Result<Vec<Template>, StoreError> {
        let first = before.map_or(Bound::Unbounded, |id| Bound::Excluded(keys::template_listed(id).to_vec()));
        let mut found = Vec::new();
        // As many as there may be templates that are not archived.
        for key in self.engine().keys(Table::TemplatesListed, (first, Bound::Unbounded), usize::MAX)? {
            if found.len() >= limit {
                break;
            }
            let template = self.template(keys::parse_template_listed(&key)?)?;
            found.extend(template.filter(|template| filter.takes(template) && is_wanted(template)));
        }
        Ok(found)
    }

    fn archive_template(&self, id: TemplateId, when: Timestamp) -> Result<bool, StoreError> {
        self.engine().write(|txn| {
            let Some(head) = read::<Head>(txn, Table::Templates, id.as_bytes())? else { return Ok(false) };
            if head.archived.is_some() {
                return Ok(false);
            }
            let key = keys::template_version(id, head.version);
            let newest = read::<Template>(txn, Table::TemplateVersions, &key)?;
            let newest = newest.ok_or_else(|| damaged(Table::TemplateVersions, &key, "it is gone"))?;
            txn.remove(Table::TemplateNames, newest.name.as_bytes())?;
            txn.remove(Table::TemplatesListed, &keys::template_listed(id))?;
            let count = read::<u64>(txn, Table::TemplateCount, COUNT)?.unwrap_or(0);
            write(txn, Table::TemplateCount, COUNT, &count.saturating_sub(1))?;
            write(txn, Table::Templates, id.as_bytes(), &Head { archived: Some(when), ..head })?;
            Ok(true)
        })
    }
}

impl Store {
    fn written(&self, id: TemplateId, version: u32, head: Head) -> Result<Option<Template>, StoreError> {
        let key = keys::template_version(id, version);
        let written = self.row::<Template>(Table::TemplateVersions, &key)?;
        let written = written.ok_or_else(|| damaged(Table::TemplateVersions, &key, "it is gone"))?;
        Ok(Some(Template { archived: head.archived, ..written }))
    }
}

fn put(txn: &Txn<'_>, template: &Template) -> Result<(), TxnError> {
    let id = template.id;
    let conflict = || StoreError::Conflict { what: format!("template {id}") };
    let head = read::<Head>(txn, Table::Templates, id.as_bytes())?;
    match head {
        None if template.version == 1 => {
            txn.put_key(Table::TemplatesListed, &keys::template_listed(id))?;
        }
        Some(_) if template.version == 1 => {
            return Err(StoreError::Exists { what: format!("template {id}") }.into());
        }
        Some(Head { version, archived: None }) if template.version == version + 1 => {
            let key = keys::template_version(id, version);
            if let Some(before) = read::<Template>(txn, Table::TemplateVersions, &key)? {
                txn.remove(Table::TemplateNames, before.name.as_bytes())?;
            }
        }
        Some(_) | None => return Err(conflict().into()),
    }
    let name = template.name.as_bytes();
    if txn.contains(Table::TemplateNames, name)? {
        return Err(StoreError::Exists { what: format!("a template named {:?}", template.name) }.into());
    }
    write(txn, Table::TemplateNames, name, &id)?;
    write(txn, Table::TemplateVersions, &keys::template_version(id, template.version), template)?;
    write(txn, Table::Templates, id.as_bytes(), &Head { version: template.version, archived: None })
}
