//! `range` (RFC 9110 §14.2) of bytes: one range, which is what players and download managers ask for.

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// No range, one of another unit, a malformed one, or several at once: all may be ignored.
    Whole,
    /// `length` is at least 1.
    Part { from: u64, length: u64 },
    /// The range lies behind the end.
    Nothing,
}

/// Reads the header's value, for content of `size` bytes.
pub(super) fn read(header: &str, size: u64) -> Wanted {
    parse(header, size).unwrap_or(Wanted::Whole)
}

fn parse(header: &str, size: u64) -> Option<Wanted> {
    let (unit, spec) = header.split_once('=')?;
    let (first, last) = spec.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return None;
    }
    if first.is_empty() {
        // The last so many bytes; of fewer, all.
        let length = number(last)?.min(size);
        return Some(part(size - length, length));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    let length = last.min(size.saturating_sub(1)).checked_sub(first).map_or(0, |more| more.saturating_add(1));
    Some(part(first, if first < size { length } else { 0 }))
}

fn part(from: u64, length: u64) -> Wanted {
    if length == 0 { Wanted::Nothing } else { Wanted::Part { from, length } }
}

/// Digits alone, and no more than a file could have.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_cut_to_what_there_is() {
        let part = |from, length| Wanted::Part { from, length };
        for (header, wanted) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-99", part(0, 10)),
            ("bytes=3-", part(3, 7)),
            ("bytes=9-9", part(9, 1)),
            ("bytes=-4", part(6, 4)),
            ("bytes=-400", part(0, 10)),
            ("BYTES = 1-2", part(1, 2)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-20", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
        ] {
            assert_eq!(read(header, 10), wanted, "{header}");
        }
        assert_eq!(read("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "lines=1-2",
            "bytes=0-1,3-4",
            "bytes=+1-2",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(read(header, 10), Wanted::Whole, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_part_always_lies_within(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", size: u64) {
            if let Wanted::Part { from, length } = read(&header, size) {
                prop_assert!(length > 0 && from < size && length <= size - from);
            }
        }
    }
}
