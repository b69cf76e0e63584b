//! Stored values: one version byte, then JSON. JSON because rows outlive the code that wrote them and manifests carry
//! free JSON, which only a self-describing format can hold.

use atelier_domain::store::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema::Table;

/// The most bytes of one stored row.
pub const ROW_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The version of the value format. A later one is read beside it, never instead of it.
const JSON_V1: u8 = 1;
/// A row in the first format, sealed: see [`crate::sealing`].
pub(crate) const SEALED_V1: u8 = 2;

/// # Errors
/// [`StoreError::Unavailable`] when the value is larger than [`ROW_BYTES_MAX`].
pub(crate) fn encode<T: Serialize>(table: Table, value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![JSON_V1];
    serde_json::to_writer(&mut bytes, value)
        .map_err(|error| StoreError::Unavailable(format!("a row of {table} cannot be written: {error}")))?;
    if bytes.len() > ROW_BYTES_MAX {
        let size = bytes.len();
        return Err(StoreError::Unavailable(format!(
            "a row of {table} would have {size} bytes; at most {ROW_BYTES_MAX} are stored"
        )));
    }
    Ok(bytes)
}

/// # Errors
/// [`StoreError::Damaged`], naming the table and the key.
pub(crate) fn decode<T: DeserializeOwned>(table: Table, key: &[u8], bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&JSON_V1, json)) => {
            serde_json::from_slice(json).map_err(|error| damaged(table, key, &error.to_string()))
        }
        Some((version, _)) => Err(damaged(
            table,
            key,
            &format!(
                "its format {version} is not known to this program: use the one that wrote it or a newer one"
            ),
        )),
        None => Err(damaged(table, key, "it is empty")),
    }
}

/// Names what is wrong and where. The key is shown in hexadecimal, cut to 64 bytes.
pub(crate) fn damaged(table: Table, key: &[u8], why: &str) -> StoreError {
    let shown: String = key.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    StoreError::Damaged(format!("row {shown} of {table}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_unknown_format_is_refused_with_table_and_key() {
        let error = decode::<u32>(Table::Jobs, &[0xab, 0xcd], &[9, b'1']).expect_err("format 9").to_string();
        assert!(error.contains("jobs") && error.contains("abcd") && error.contains("format 9"), "{error}");
    }

    #[test]
    fn a_row_over_the_bound_is_refused() {
        let error = encode(Table::Jobs, &"x".repeat(ROW_BYTES_MAX)).expect_err("too large").to_string();
        assert!(error.contains("jobs") && error.contains("at most"), "{error}");
    }

    proptest! {
        #[test]
        fn a_value_is_read_as_it_was_written(text in ".*", number: u64, flag: Option<bool>) {
            let bytes = encode(Table::Users, &(&text, number, flag)).expect("small");
            let read: (String, u64, Option<bool>) = decode(Table::Users, b"k", &bytes).expect("just written");
            prop_assert_eq!(read, (text, number, flag));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode::<atelier_domain::account::User>(Table::Users, b"k", &bytes);
        }
    }
}
