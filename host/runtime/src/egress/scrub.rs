//! Blanks out secrets that an upstream echoes, also where they are torn across chunks.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

/// What a secret's bytes become: as many as there were, so that lengths stay true.
const BLANK: u8 = b'*';

/// The byte strings to blank out, in all spellings in which they could come back.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    finders: Vec<Finder<'static>>,
    longest: usize,
}

impl Patterns {
    /// Patterns for byte strings; those under four bytes are left out, since they would blank ordinary text.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
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

    /// How many bytes at the end could be the beginning of a secret.
    fn open_tail(&self, bytes: &[u8]) -> usize {
        let reach = bytes.len().min(self.longest.saturating_sub(1));
        let tail = &bytes[bytes.len() - reach..];
        (0..tail.len())
            .find(|start| self.finders.iter().any(|finder| finder.needle().starts_with(&tail[*start..])))
            .map_or(0, |start| tail.len() - start)
    }

    /// Blanks all secrets in place.
    pub fn blank(&self, bytes: &mut [u8]) {
        for finder in &self.finders {
            let mut from = 0;
            while let Some(found) = finder.find(&bytes[from..]) {
                let end = from + found + finder.needle().len();
                bytes[from + found..end].fill(BLANK);
                from = end;
            }
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
#[derive(Clone, Debug)]
pub struct Scrubber {
    patterns: Arc<Patterns>,
    held: BytesMut,
}

impl Scrubber {
    /// A scrubber at a stream's start.
    pub fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, held: BytesMut::new() }
    }

    /// Takes the next chunk, gives what can go on.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        if self.patterns.finders.is_empty() {
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
