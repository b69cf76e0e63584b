//! The port of prompt templates.

use std::fmt;

use super::StoreError;
use crate::id::TemplateId;
use crate::template::{Template, TemplateFilter};
use crate::time::Timestamp;

/// Templates with all their versions. A version that was written stays as it was.
pub trait TemplateStore: Send + Sync + fmt::Debug {
    /// Adds templates (version 1) and later versions of templates, all of them or none, durably; `false` if there would be more than
    /// `templates_max` that are not archived.
    ///
    /// # Errors
    /// - [`StoreError::Exists`] if a name is another template's that is not archived, or an id is taken.
    /// - [`StoreError::Conflict`] if a version is not the one after the newest, or its template is gone or archived.
    fn put_templates(&self, versions: &[Template], templates_max: usize) -> Result<bool, StoreError>;
    /// The newest version.
    fn template(&self, id: TemplateId) -> Result<Option<Template>, StoreError>;
    /// A version as it was written, and archived if its template is.
    fn template_version(&self, id: TemplateId, version: u32) -> Result<Option<Template>, StoreError>;
    /// The newest version of the template of that name that is not archived.
    fn template_named(&self, name: &str) -> Result<Option<Template>, StoreError>;
    /// The newest versions of templates that are not archived, the newest template first, before `before`: those that `filter` and
    /// `is_wanted` let through, `limit` at most.
    fn templates(
        &self,
        filter: &TemplateFilter,
        before: Option<TemplateId>,
        limit: usize,
        is_wanted: &dyn Fn(&Template) -> bool,
    ) -> Result<Vec<Template>, StoreError>;
    /// Archives a template, durably, and frees its name; `false` if there is none or it is archived already.
    fn archive_template(&self, id: TemplateId, when: Timestamp) -> Result<bool, StoreError>;
}
