//! `metadata`: what callers note with their objects (OpenAI API).

use std::collections::BTreeMap;

use super::ApiError;

const MEMBERS_MAX: usize = 16;
const NAME_CHARACTERS_MAX: usize = 64;
const VALUE_CHARACTERS_MAX: usize = 512;

/// Checks how much there is.
pub(super) fn check(metadata: Option<&BTreeMap<String, String>>) -> Result<(), ApiError> {
    if metadata.is_some_and(|metadata| metadata.len() > MEMBERS_MAX) {
        return Err(ApiError::invalid("metadata", format!("at most {MEMBERS_MAX} members")));
    }
    for (name, value) in metadata.into_iter().flatten() {
        if name.chars().count() > NAME_CHARACTERS_MAX || value.chars().count() > VALUE_CHARACTERS_MAX {
            return Err(ApiError::invalid(format!("metadata.{name}"), "its name or text is too long"));
        }
    }
    Ok(())
}
