//! `/api/v1/templates`: prompts with blanks, written by administrators and filled in by callers.

pub(super) mod archive;
mod body;
pub(super) mod change;
pub(super) mod clear;
pub(super) mod create;
pub(super) mod generate;
pub(super) mod get;
pub(super) mod list;
pub(super) mod seed;
mod view;
