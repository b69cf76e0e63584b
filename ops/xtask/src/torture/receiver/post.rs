//! One request of HTTP/1.1 with a body of a stated length: all that the host sends to an endpoint.

use std::io::{self, BufRead, Read};

const LINE_BYTES_MAX: u64 = 16 << 10;
const HEADERS_MAX: usize = 64;
const BODY_BYTES_MAX: u64 = 1 << 20;

/// A request.
#[derive(Debug)]
pub struct Post {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Post {
    /// Read one.
    ///
    /// # Errors
    /// The connection broke, or it is none.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        let wrong = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
        let first = line(reader)?;
        let mut words = first.split(' ');
        let (Some("POST"), Some(path)) = (words.next(), words.next()) else { return Err(wrong("no POST")) };
        let path = path.to_owned();
        let mut headers = Vec::new();
        loop {
            let line = line(reader)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("no header"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            if headers.len() > HEADERS_MAX {
                return Err(wrong("too many headers"));
            }
        }
        let mut post = Self { path, headers, body: String::new() };
        let length = post.header("content-length").and_then(|length| length.parse().ok());
        let length: u64 =
            length.filter(|length| *length <= BODY_BYTES_MAX).ok_or_else(|| wrong("no length"))?;
        if reader.take(length).read_to_string(&mut post.body)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(post)
    }

    /// The value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }
}

/// A line without its end.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(LINE_BYTES_MAX).read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
