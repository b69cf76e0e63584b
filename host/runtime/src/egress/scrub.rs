//! Blanks out secrets that an upstream echoes, also where they are torn across chunks.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

/// What a secret's bytes become: as many as there were, so that lengths stay true.
const BLANK: u8 = b'*';

/// Byte strings that were learned while running; beyond it the oldest is forgotten: its token has been replaced several times.
const LEARNED_MAX: usize = 8;

/// The byte strings to blank out, in all spellings in which they could come back. Clones share what is learned.
#[derive(Clone, Default)]
pub struct Patterns {
    fixed: Arc<Set>,
    /// Tokens come and go while the host runs. Absent where none can, which costs nothing.
    learned: Option<Arc<RwLock<Learned>>>,
}

/// Secrets in the order they came, and all of them as one set.
#[derive(Default)]
struct Learned {
    secrets: VecDeque<Vec<Vec<u8>>>,
    set: Arc<Set>,
}

#[derive(Clone, Default)]
struct Set {
    finders: Vec<Finder<'static>>,
    longest: usize,
}

/// Never the patterns themselves: they are secrets.
impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patterns").field("fixed", &self.fixed.finders.len()).finish_non_exhaustive()
    }
}

impl Set {
    /// Those under four bytes are left out, since they would blank ordinary text.
    fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let finders: Vec<_> = secrets
            .into_iter()
            .filter(|secret| secret.len() >= 4)
            .map(|secret| Finder::new(secret).into_owned())
            .collect();
        let longest = finders.iter().map(|finder| finder.needle().len()).max().unwrap_or(0);
        Self { finders, longest }
    }

    fn contains_any(&self, bytes: &[u8]) -> bool {
        self.finders.iter().any(|finder| finder.find(bytes).is_some())
    }

    fn open_tail(&self, bytes: &[u8]) -> usize {
        let reach = bytes.len().min(self.longest.saturating_sub(1));
        let tail = &bytes[bytes.len() - reach..];
        (0..tail.len())
            .find(|start| self.finders.iter().any(|finder| finder.needle().starts_with(&tail[*start..])))
            .map_or(0, |start| tail.len() - start)
    }

    fn blank(&self, bytes: &mut [u8]) {
        for finder in &self.finders {
            let mut from = 0;
            while let Some(found) = finder.find(&bytes[from..]) {
                let end = from + found + finder.needle().len();
                bytes[from + found..end].fill(BLANK);
                from = end;
            }
        }
    }
}

impl Patterns {
    /// Patterns for byte strings; those under four bytes are left out, since they would blank ordinary text.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { fixed: Arc::new(Set::new(secrets)), learned: None }
    }

    /// The same, and able to learn more.
    pub fn learning<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { learned: Some(Arc::default()), ..Self::new(secrets) }
    }

    /// Learns a secret in all its spellings; nothing happens to patterns that cannot learn.
    pub(super) fn learn(&self, spellings: Vec<Vec<u8>>) {
        let Some(learned) = &self.learned else { return };
        let mut learned = learned.write().unwrap_or_else(PoisonError::into_inner);
        if learned.secrets.len() == LEARNED_MAX {
            learned.secrets.pop_front();
        }
        learned.secrets.push_back(spellings);
        learned.set = Arc::new(Set::new(learned.secrets.iter().flatten().map(Vec::as_slice)));
    }

    /// These and more, for one answer.
    pub(super) fn with<'a>(&self, more: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let more = Set::new(more);
        let mut fixed = Set::clone(&self.fixed);
        fixed.longest = fixed.longest.max(more.longest);
        fixed.finders.extend(more.finders);
        Self { fixed: Arc::new(fixed), learned: self.learned.clone() }
    }

    fn learned(&self) -> Option<Arc<Set>> {
        let learned = self.learned.as_ref()?.read().unwrap_or_else(PoisonError::into_inner);
        (!learned.set.finders.is_empty()).then(|| Arc::clone(&learned.set))
    }

    fn are_none(&self) -> bool {
        self.fixed.finders.is_empty() && self.learned.is_none()
    }

    fn contains_any(&self, bytes: &[u8]) -> bool {
        self.fixed.contains_any(bytes) || self.learned().is_some_and(|learned| learned.contains_any(bytes))
    }

    /// How many bytes at the end could be the beginning of a secret.
    fn open_tail(&self, bytes: &[u8]) -> usize {
        let learned = self.learned().map_or(0, |learned| learned.open_tail(bytes));
        self.fixed.open_tail(bytes).max(learned)
    }

    /// Blanks all secrets in place.
    pub fn blank(&self, bytes: &mut [u8]) {
        self.fixed.blank(bytes);
        if let Some(learned) = self.learned() {
            learned.blank(bytes);
        }
    }

    /// A text with its secrets blanked. Blanks are ASCII in place of whole pattern bytes, so the text stays UTF-8 wherever a
    /// pattern is itself UTF-8.
    pub fn blank_text(&self, text: &str) -> Option<String> {
        if !self.contains_any(text.as_bytes()) {
            return None;
        }
        let mut bytes = text.as_bytes().to_vec();
        self.blank(&mut bytes);
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A stream's scrubber: holds back only what could still turn out to be a secret.
#[derive(Clone)]
pub struct Scrubber {
    patterns: Arc<Patterns>,
    held: BytesMut,
}

/// Never what is held: it could be a secret's beginning.
impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber").field("held_bytes", &self.held.len()).finish_non_exhaustive()
    }
}

impl Scrubber {
    /// A scrubber at a stream's start.
    pub fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, held: BytesMut::new() }
    }

    /// Takes the next chunk, gives what can go on.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        if self.patterns.are_none() {
            return chunk;
        }
        if self.held.is_empty() {
            let tail = self.patterns.open_tail(&chunk);
            if tail == 0 && !self.patterns.contains_any(&chunk) {
                return chunk;
            }
        }
        self.held.extend_from_slice(&chunk);
        self.patterns.blank(&mut self.held);
        let open = self.patterns.open_tail(&self.held);
        self.held.split_to(self.held.len() - open).freeze()
    }

    /// What was held back, at the stream's end.
    pub fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held).freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scrub(secret: &str, chunks: Vec<Bytes>) -> Vec<u8> {
        let mut scrubber = Scrubber::new(Arc::new(Patterns::new([secret.as_bytes()])));
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend_from_slice(&scrubber.push(chunk));
        }
        out.extend_from_slice(&scrubber.finish());
        out
    }

    #[test]
    fn what_is_learned_later_is_blanked_by_those_who_were_there_before() {
        let patterns = Arc::new(Patterns::learning([b"sk-first".as_slice()]));
        let mut scrubber = Scrubber::new(Arc::clone(&patterns));
        patterns.learn(vec![b"tok-second".to_vec()]);
        let mut out = scrubber.push(Bytes::from_static(b"sk-first and tok-")).to_vec();
        out.extend_from_slice(&scrubber.push(Bytes::from_static(b"second.")));
        out.extend_from_slice(&scrubber.finish());
        assert_eq!(String::from_utf8_lossy(&out), "******** and **********.");
        for number in 0..LEARNED_MAX {
            patterns.learn(vec![format!("tok-{number}-later").into_bytes()]);
        }
        assert_eq!(patterns.blank_text("tok-second"), None, "long replaced");
        assert!(patterns.blank_text("tok-0-later").is_some());
    }

    #[test]
    fn patterns_do_not_show_themselves() {
        let patterns = Patterns::learning([b"sk-first".as_slice()]);
        patterns.learn(vec![b"tok-second".to_vec()]);
        let shown = format!("{patterns:?} {:?}", Scrubber::new(Arc::new(patterns.clone())));
        for bytes in [b"sk-first".as_slice(), b"tok-second"] {
            assert!(!shown.contains(&String::from_utf8_lossy(bytes)[..]), "{shown}");
            assert!(!shown.contains(&format!("{bytes:?}")[1..20]), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn a_secret_torn_anywhere_never_gets_through(
            before in "[sk\\-a-c ]{0,40}", after in "[sk\\-a-c ]{0,40}",
            cuts in proptest::collection::vec(1usize..7, 0..60),
        ) {
            let secret = "sk-abcabc";
            let text = format!("{before}{secret}{after}{secret}");
            let mut rest = Bytes::from(text.clone());
            let mut chunks = Vec::new();
            for cut in cuts {
                chunks.push(rest.split_to(cut.min(rest.len())));
            }
            chunks.push(rest);
            let out = scrub(secret, chunks);
            prop_assert_eq!(out.len(), text.len());
            prop_assert!(!String::from_utf8_lossy(&out).contains(secret));
        }

        #[test]
        fn text_without_a_secret_passes_unchanged(text in "[a-z \n]{0,200}", cut in 0usize..200) {
            let mut rest = Bytes::from(text.clone());
            let first = rest.split_to(cut.min(rest.len()));
            prop_assert_eq!(scrub("SECRET-VALUE", vec![first, rest]), text.into_bytes());
        }
    }
}
