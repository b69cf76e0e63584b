//! Base64 (RFC 4648 §4) as it occurs in providers' JSON.

use crate::Failure;
use ::base64::{Engine, engine::general_purpose::STANDARD};

/// The bytes of a standard base64 text.
///
/// # Errors
/// `bad-response` if it is none, or has more than `max` bytes.
pub fn decode(text: &str, max: usize) -> Result<Vec<u8>, Failure> {
    if text.len() / 4 > max / 3 + 1 {
        return Err(Failure::bad_response("the provider sent more base64 data than this call may take"));
    }
    STANDARD.decode(text).map_err(|_| Failure::bad_response("the provider sent malformed base64 data"))
}

/// The vector that little-endian 32-bit floats in base64 stand for.
///
/// # Errors
/// `bad-response` if it is no base64, has more than `max` bytes, or breaks off within a number.
pub fn decode_f32s(text: &str, max: usize) -> Result<Vec<f32>, Failure> {
    let bytes = decode(text, max)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Failure::bad_response("the provider sent a vector that breaks off within a number"));
    }
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

/// The standard base64 text of some bytes.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn vectors_survive(numbers in prop::collection::vec(any::<u32>(), 0..50)) {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            let read = decode_f32s(&encode(&bytes), bytes.len()).unwrap();
            prop_assert_eq!(read.iter().map(|number| number.to_bits()).collect::<Vec<_>>(), numbers);
        }
    }

    #[test]
    fn malformed_broken_and_oversized_data_are_refused() {
        assert!(decode("*", 10).is_err());
        assert!(decode_f32s(&encode(&[1, 2, 3]), 10).is_err());
        assert!(decode(&encode(&[0; 100]), 50).is_err());
    }
}
