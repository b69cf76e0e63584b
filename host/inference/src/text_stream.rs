//! From the bytes of tokens to text that may be shown: whole characters only, and nothing of a stop sequence.

/// Turns a stream of token bytes into deltas of text.
///
/// Invariants, whatever the pieces: every delta is whole characters; the deltas joined are the decoded text up to the
/// first stop sequence to be complete (the earliest start where two are complete at once), or all of it; bytes that
/// are not UTF-8 become U+FFFD.
#[derive(Debug)]
pub struct TextStream {
    stops: Vec<String>,
    /// The beginning of a character whose end has not come yet: at most three bytes.
    partial: Vec<u8>,
    /// Text that might be the beginning of a stop sequence.
    held: String,
    /// Bytes of text that were given.
    given: usize,
    stopped: bool,
}

impl TextStream {
    /// A stream that ends at any of `stops`, none of which may be empty.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops, partial: Vec::new(), held: String::new(), given: 0, stopped: false }
    }

    /// Whether a stop sequence was met; nothing more is given after it.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Bytes of text given so far.
    pub fn given(&self) -> usize {
        self.given
    }

    /// Bytes of text so far: given, and whole characters held back.
    pub fn decoded(&self) -> usize {
        self.given + self.held.len()
    }

    /// Take a token's bytes and give the text that is certain now.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        if self.stopped {
            return String::new();
        }
        self.partial.extend_from_slice(bytes);
        let text = self.take_whole_characters();
        self.pass(&text)
    }

    /// The end of the stream: give what was held back.
    pub fn finish(&mut self) -> String {
        if self.stopped {
            return String::new();
        }
        let rest = String::from_utf8_lossy(&self.partial).into_owned();
        self.partial.clear();
        let mut out = self.pass(&rest);
        if !self.stopped {
            out.push_str(&self.held);
        }
        self.given += self.held.len();
        self.held.clear();
        out
    }

    fn take_whole_characters(&mut self) -> String {
        let mut text = String::new();
        let mut incomplete = 0;
        for chunk in self.partial.utf8_chunks() {
            text.push_str(chunk.valid());
            incomplete = 0;
            if !chunk.invalid().is_empty() {
                incomplete = chunk.invalid().len();
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        // The last invalid run may only be cut short; then it waits for its end.
        let start = self.partial.len() - incomplete;
        let cut_short = incomplete > 0
            && std::str::from_utf8(&self.partial[start..]).is_err_and(|error| error.error_len().is_none());
        if cut_short {
            text.pop();
            self.partial.drain(..start);
        } else {
            self.partial.clear();
        }
        text
    }

    /// Append text, cut at a stop sequence, and hold back what may become one.
    fn pass(&mut self, text: &str) -> String {
        self.held.push_str(text);
        let found = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()).map(|start| (start + stop.len(), start)))
            .min();
        if let Some((_, start)) = found {
            self.stopped = true;
            self.held.truncate(start);
            self.given += start;
            return std::mem::take(&mut self.held);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        self.given += self.held.len();
        std::mem::replace(&mut self.held, rest)
    }
}

/// Bytes of the longest end of `text` that begins `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len() - 1);
    (1..=longest)
        .rev()
        .find(|&length| {
            stop.is_char_boundary(length) && text.as_bytes().ends_with(&stop.as_bytes()[..length])
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests;
