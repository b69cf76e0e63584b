//! What the engine's own failures are told as.

use std::panic::{AssertUnwindSafe, catch_unwind};

use atelier_domain::store::StoreError;

use crate::room::is_full;

pub(super) fn guard<T>(body: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(from_panic(&*panic)))
}

pub(super) fn from_panic(panic: &(dyn std::any::Any + Send)) -> StoreError {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    StoreError::Damaged(format!("the database engine stopped: {}", text.unwrap_or("it gave no reason")))
}

pub(super) fn from_sled(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Corruption { at, .. } => {
            StoreError::Damaged(format!("unreadable at {at:?}: restore the newest backup"))
        }
        // A page lies where the file has ended, or is none.
        sled::Error::Io(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidData
            ) =>
        {
            StoreError::Damaged(format!("its file is cut or changed ({error}): restore the newest backup"))
        }
        sled::Error::Io(error) => unavailable(error),
        sled::Error::Unsupported(why) => StoreError::Unavailable(why),
        sled::Error::ReportableBug(why) => StoreError::Damaged(why),
        sled::Error::CollectionNotFound(name) => {
            StoreError::Damaged(format!("table {} is gone", String::from_utf8_lossy(&name)))
        }
    }
}

pub(super) fn no_trees() -> StoreError {
    StoreError::Damaged("the database has no tables".to_owned())
}

pub(crate) fn unavailable(error: std::io::Error) -> StoreError {
    if is_full(&error) {
        StoreError::Full(error.to_string())
    } else {
        StoreError::Unavailable(error.to_string())
    }
}
