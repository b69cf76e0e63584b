//! Server-sent events (WHATWG HTML §9.2.6), decoded as the bytes arrive.

use crate::Failure;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'decoder> {
    /// `message` unless the stream names it.
    pub name: &'decoder str,
    /// The `data` lines, joined by line feeds.
    pub data: &'decoder str,
    /// The last `id` seen in the stream; empty if none was.
    pub last_event_id: &'decoder str,
}

/// Takes bytes as they come, gives events. Memory is bounded by the largest event allowed and the largest piece fed.
#[derive(Debug)]
pub struct Decoder {
    event_bytes_max: usize,
    buffer: Vec<u8>,
    /// Where the first line begins that is not taken apart yet.
    line_start: usize,
    /// Up to where that line was searched for its end.
    searched: usize,
    /// A CR ended the last line: an LF that follows belongs to it.
    after_cr: bool,
    /// The stream's start, where a byte order mark may be, is behind.
    begun: bool,
    name: String,
    data: Vec<u8>,
    last_event_id: String,
    retry_ms: Option<u64>,
    ready_name: String,
    ready_data: String,
}

impl Decoder {
    /// A decoder that refuses events of more than `event_bytes_max` bytes.
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            buffer: Vec::new(),
            line_start: 0,
            searched: 0,
            after_cr: false,
            begun: false,
            name: String::new(),
            data: Vec::new(),
            last_event_id: String::new(),
            retry_ms: None,
            ready_name: String::new(),
            ready_data: String::new(),
        }
    }

    /// Add the next bytes of the stream, in pieces of any size.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.line_start);
        self.searched -= self.line_start;
        self.line_start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Go to the next complete event; [`Self::event`] then gives it. `false`: more bytes are needed. What is left when the stream
    /// ends is no event.
    ///
    /// # Errors
    /// `bad-response` for an event larger than allowed.
    pub fn advance(&mut self) -> Result<bool, Failure> {
        loop {
            if !self.begun && !self.pass_byte_order_mark() {
                return Ok(false);
            }
            if self.after_cr && self.line_start < self.buffer.len() {
                self.after_cr = false;
                if self.buffer[self.line_start] == b'\n' {
                    self.line_start += 1;
                    self.searched = self.line_start;
                }
            }
            let Some(found) = memchr::memchr2(b'\n', b'\r', &self.buffer[self.searched..]) else {
                self.searched = self.buffer.len();
                self.check_size(self.buffer.len() - self.line_start)?;
                return Ok(false);
            };
            let line = self.line_start..self.searched + found;
            self.after_cr = self.buffer[line.end] == b'\r';
            self.line_start = line.end + 1;
            self.searched = self.line_start;
            if line.is_empty() {
                if self.dispatch() {
                    return Ok(true);
                }
            } else {
                self.check_size(line.len())?;
                self.take_line(line);
            }
        }
    }

    /// The event that [`Self::advance`] found.
    pub fn event(&self) -> Event<'_> {
        let name = if self.ready_name.is_empty() { "message" } else { &self.ready_name };
        Event { name, data: &self.ready_data, last_event_id: &self.last_event_id }
    }

    /// How long the stream asks to wait before it is opened again.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Whether the start of the stream is known to be behind.
    fn pass_byte_order_mark(&mut self) -> bool {
        if self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.line_start = BYTE_ORDER_MARK.len();
            self.searched = self.line_start;
        } else if BYTE_ORDER_MARK.starts_with(&self.buffer) {
            return false;
        }
        self.begun = true;
        true
    }

    fn check_size(&self, line_bytes: usize) -> Result<(), Failure> {
        if self.data.len() + line_bytes > self.event_bytes_max {
            return Err(Failure::bad_response("the provider sent an event larger than this call may take"));
        }
        Ok(())
    }

    fn take_line(&mut self, line: std::ops::Range<usize>) {
        let line = &self.buffer[line];
        let (field, value) = match memchr::memchr(b':', line) {
            Some(0) => return,
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match field {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) => self.last_event_id = String::from_utf8_lossy(value).into_owned(),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry_ms = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
            }
            _ => {}
        }
    }

    /// An empty line ends an event; without data there is none.
    fn dispatch(&mut self) -> bool {
        if self.data.pop().is_none() {
            self.name.clear();
            return false;
        }
        let mut used = std::mem::take(&mut self.ready_data).into_bytes();
        used.clear();
        self.ready_data = match String::from_utf8(std::mem::replace(&mut self.data, used)) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        std::mem::swap(&mut self.ready_name, &mut self.name);
        self.name.clear();
        true
    }
}

#[cfg(test)]
mod tests;
