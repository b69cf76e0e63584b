//! Which trace, and which span of it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Characters of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// Bit of the flags that says that a caller may have recorded its span.
const SAMPLED: u8 = 1;

/// A trace: never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

/// A span of a trace: never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

/// A span as others are told of it: the header `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceContext {
    pub trace: TraceId,
    pub span: SpanId,
    /// Whether the span is recorded.
    pub is_sampled: bool,
}

/// A text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct InvalidTraceContext;

impl TraceId {
    /// A new one.
    pub fn random() -> Self {
        loop {
            let id = (u128::from(draw()) << 64) | u128::from(draw());
            if let Some(id) = NonZeroU128::new(id) {
                return Self(id);
            }
        }
    }

    /// As it is sent, first byte first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }

    /// Its last 56 bits, which the specification wants to be random: what a share of all traces is chosen by.
    pub(super) fn lot(self) -> u64 {
        self.0.get() as u64 & ((1 << 56) - 1)
    }
}

impl SpanId {
    /// A new one.
    pub fn random() -> Self {
        loop {
            if let Some(id) = NonZeroU64::new(draw()) {
                return Self(id);
            }
        }
    }

    /// As it is sent, first byte first.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }
}

/// 64 bits that no other call gets: a count under a keyed hash whose key the system drew. No call into the system for each span.
fn draw() -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    KEY.hash_one(COUNT.fetch_add(1, Ordering::Relaxed))
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    /// Strictly as §3.2.2 and, for versions to come, §3.2.4 of the specification say.
    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let bytes = text.as_bytes();
        let is_long_enough = bytes.len() >= LENGTH && bytes[..LENGTH].is_ascii();
        if !is_long_enough || [2, 35, 52].iter().any(|place| bytes[*place] != b'-') {
            return Err(InvalidTraceContext);
        }
        match hexadecimal(&text[..2])? {
            0xff => return Err(InvalidTraceContext),
            0 if bytes.len() != LENGTH => return Err(InvalidTraceContext),
            _ if bytes.len() > LENGTH && bytes[LENGTH] != b'-' => return Err(InvalidTraceContext),
            _ => {}
        }
        let trace = NonZeroU128::new(hexadecimal(&text[3..35])?).ok_or(InvalidTraceContext)?;
        let span = u64::try_from(hexadecimal(&text[36..52])?).map_err(|_| InvalidTraceContext)?;
        let span = NonZeroU64::new(span).ok_or(InvalidTraceContext)?;
        let flags = u8::try_from(hexadecimal(&text[53..55])?).map_err(|_| InvalidTraceContext)?;
        Ok(Self { trace: TraceId(trace), span: SpanId(span), is_sampled: flags & SAMPLED != 0 })
    }
}

/// Lower-case digits alone, and no sign.
fn hexadecimal(text: &str) -> Result<u128, InvalidTraceContext> {
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(InvalidTraceContext);
    }
    u128::from_str_radix(text, 16).map_err(|_| InvalidTraceContext)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.is_sampled) * SAMPLED)
    }
}

impl TryFrom<String> for TraceContext {
    type Error = InvalidTraceContext;
    fn try_from(text: String) -> Result<Self, InvalidTraceContext> {
        text.parse()
    }
}

impl From<TraceContext> for String {
    fn from(context: TraceContext) -> Self {
        context.to_string()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_it_was() {
        let context: TraceContext = GOOD.parse().expect("good");
        assert!(context.is_sampled);
        assert_eq!(context.to_string(), GOOD);
        let dropped = GOOD.replace("-01", "-00").parse::<TraceContext>().expect("good");
        assert!(!dropped.is_sampled);
        // Bits that this version does not know are not passed on.
        let flags = GOOD.replace("-01", "-ff").parse::<TraceContext>().expect("good");
        assert_eq!(flags.to_string(), GOOD);
    }

    #[test]
    fn a_version_to_come_may_say_more_and_is_read_as_far_as_it_is_known() {
        for later in [GOOD.replacen("00", "01", 1), format!("cc{}-what-comes", &GOOD[2..])] {
            assert_eq!(later.parse::<TraceContext>().map(|context| context.to_string()), Ok(GOOD.to_owned()));
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for bad in [
            "".to_owned(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-"),
            format!("{GOOD}0"),
            format!(" {GOOD}"),
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            GOOD.replacen("00", "0g", 1),
            format!("01{}.what-comes", &GOOD[2..]),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("4bf92f", "+bf92f"),
            GOOD.replace('-', "_"),
            GOOD.replace("4bf92f", "4bé92"),
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(InvalidTraceContext), "{bad:?}");
        }
    }

    #[test]
    fn no_two_ids_are_the_same() {
        let mut seen = HashSet::new();
        assert!((0..10_000).all(|_| seen.insert(TraceId::random())));
    }

    proptest! {
        #[test]
        fn no_text_is_read_as_another(text in "\\PC{0,80}") {
            if let Ok(context) = text.parse::<TraceContext>() {
                prop_assert_eq!(&context.to_string()[2..53], &text[2..53]);
            }
        }
    }
}
