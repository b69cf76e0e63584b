//! Whether bytes are framed as one message of Protocol Buffers (“Encoding”, protobuf.dev), looked at before rten reads them.
//!
//! rten 0.27 follows the length of a field that it skips without asking whether the file has it: bytes that are no model at all can send
//! it back to where it was, for ever. Fields within fields are left to it.

/// Whether every field of the outermost message ends within the bytes.
pub(super) fn is_message(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(after) = field(rest) else { return false };
        rest = after;
    }
    true
}

/// What follows the first field.
fn field(bytes: &[u8]) -> Option<&[u8]> {
    let (tag, rest) = varint(bytes)?;
    match tag & 7 {
        0 => varint(rest).map(|(_, rest)| rest),
        1 => rest.get(8..),
        2 => {
            let (length, rest) = varint(rest)?;
            rest.get(usize::try_from(length).ok()?..)
        }
        5 => rest.get(4..),
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.iter().take(10).position(|byte| *byte < 0x80)? + 1;
    let value = bytes[..length].iter().enumerate().try_fold(0_u64, |value, (at, byte)| {
        Some(value | u64::from(byte & 0x7f).checked_shl(7 * at as u32)?)
    })?;
    Some((value, &bytes[length..]))
}

#[cfg(test)]
mod tests {
    use super::is_message;

    #[test]
    fn fields_end_within_the_bytes_or_it_is_no_message() {
        assert!(is_message(&[0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 0, 0, 0, 0]));
        assert!(is_message(&[]));
        for wrong in [&[0xff; 20][..], &[0x08], &[0x12, 3, 1, 2], &[0x0b], &[0x09, 1, 2]] {
            assert!(!is_message(wrong), "{wrong:?}");
        }
        // A length that is less than nothing to whoever counts with signs.
        assert!(!is_message(&[0x12, 0xf5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]));
    }
}
