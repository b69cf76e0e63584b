//! Newline-delimited JSON, cut into lines as the bytes arrive.

use crate::Failure;

/// Takes bytes as they come, gives lines that are not blank. Memory is bounded by the longest line allowed and the largest piece fed.
#[derive(Debug)]
pub struct Decoder {
    line_bytes_max: usize,
    buffer: Vec<u8>,
    line_start: usize,
    searched: usize,
    line: std::ops::Range<usize>,
}

impl Decoder {
    /// A decoder that refuses lines of more than `line_bytes_max` bytes.
    pub fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max, buffer: Vec::new(), line_start: 0, searched: 0, line: 0..0 }
    }

    /// Add the next bytes of the stream, in pieces of any size.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.line_start);
        self.searched -= self.line_start;
        self.line_start = 0;
        self.line = 0..0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The stream has ended: what is left is its last line.
    pub fn end(&mut self) {
        if self.line_start < self.buffer.len() {
            self.feed(b"\n");
        }
    }

    /// Go to the next complete line; [`Self::line`] then gives it. `false`: more bytes are needed.
    ///
    /// # Errors
    /// `bad-response` for a line longer than allowed.
    pub fn advance(&mut self) -> Result<bool, Failure> {
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
            let end = found.map_or(self.buffer.len(), |found| self.searched + found);
            if end - self.line_start > self.line_bytes_max {
                return Err(Failure::bad_response("the provider sent a line longer than this call may take"));
            }
            if found.is_none() {
                self.searched = end;
                return Ok(false);
            }
            self.line = self.line_start..end;
            self.line_start = end + 1;
            self.searched = self.line_start;
            if !self.buffer[self.line.clone()].trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The line that [`Self::advance`] found, without its end and surrounding space.
    pub fn line(&self) -> &[u8] {
        self.buffer[self.line.clone()].trim_ascii()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(stream: &[u8], size: usize, line_bytes_max: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let mut decoder = Decoder::new(line_bytes_max);
        let mut lines = Vec::new();
        for piece in stream.chunks(size) {
            decoder.feed(piece);
            while decoder.advance()? {
                lines.push(decoder.line().to_vec());
            }
        }
        decoder.end();
        while decoder.advance()? {
            lines.push(decoder.line().to_vec());
        }
        Ok(lines)
    }

    #[test]
    fn blank_lines_are_passed_and_the_last_line_needs_no_end() {
        let lines = decode(b"{\"a\":1}\r\n\n  \n{\"a\":2}\n{\"a\":3}", 4, 100).unwrap();
        assert_eq!(lines, [b"{\"a\":1}", b"{\"a\":2}", b"{\"a\":3}"]);
    }

    #[test]
    fn a_line_past_the_bound_is_refused() {
        assert_eq!(decode(&[b'x'; 300], 7, 100).unwrap_err().code, "bad-response");
        assert_eq!(decode(&[[b'x'; 99].as_slice(), b"\n"].concat().repeat(9), 7, 100).unwrap().len(), 9);
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_whole_text(lines in prop::collection::vec("[a-zé{}]{0,12}", 0..20), size in 1usize..30) {
            let text = lines.join("\n");
            let expected: Vec<Vec<u8>> = lines.iter().filter(|line| !line.is_empty()).map(|line| line.clone().into_bytes()).collect();
            prop_assert_eq!(decode(text.as_bytes(), size, 1_000).unwrap(), expected);
        }
    }
}
