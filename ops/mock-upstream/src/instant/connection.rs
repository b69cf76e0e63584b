//! One keep-alive connection: find where each request ends, answer, repeat.

use bytes::{Buf, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answers;

const HEADERS_MAX: usize = 64;
const REQUEST_BYTES_MAX: usize = 16 << 20;
const READ_BYTES: usize = 16 << 10;
/// Answers to pipelined requests are sent together, up to this many bytes at a time.
const BATCH_BYTES: usize = 64 << 10;

/// What is in the buffer.
enum Seen {
    /// Not yet a whole request; the flag says that the client waits for `100 Continue`.
    Part { continues: bool },
    /// A request of so many bytes, and its answer.
    Request { bytes: usize, answer: &'static [u8], closes: bool },
    /// Something that ends the conversation.
    Wrong(&'static [u8]),
}

/// Serve one connection until either side ends it.
pub(super) async fn converse(mut stream: TcpStream) {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let mut batch = Vec::new();
    let mut told_to_continue = false;
    loop {
        match look(&buffer) {
            Seen::Request { bytes, answer, closes } => {
                buffer.advance(bytes);
                told_to_continue = false;
                if buffer.is_empty() && batch.is_empty() {
                    if stream.write_all(answer).await.is_err() || closes {
                        return;
                    }
                } else {
                    batch.extend_from_slice(answer);
                    if closes || batch.len() > BATCH_BYTES {
                        if stream.write_all(&batch).await.is_err() || closes {
                            return;
                        }
                        batch.clear();
                    }
                }
                if !buffer.is_empty() {
                    continue;
                }
            }
            Seen::Part { continues } if continues && !told_to_continue => {
                told_to_continue = true;
                batch.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            Seen::Part { .. } => {}
            Seen::Wrong(answer) => {
                // The connection ends either way: whether the client still reads is its own affair.
                stream.write_all(answer).await.ok();
                return;
            }
        }
        if !batch.is_empty() {
            if stream.write_all(&batch).await.is_err() {
                return;
            }
            batch.clear();
        }
        buffer.reserve(READ_BYTES);
        if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

fn look(buffer: &[u8]) -> Seen {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(buffer) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if buffer.len() > READ_BYTES * 4 => {
            return Seen::Wrong(&answers::TOO_LARGE);
        }
        Ok(httparse::Status::Partial) => return Seen::Part { continues: false },
        Err(_) => return Seen::Wrong(&answers::MALFORMED),
    };
    let (mut length, mut chunked, mut closes, mut continues) = (0, false, false, false);
    for header in request.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let number = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
            let Some(number) = number else { return Seen::Wrong(&answers::MALFORMED) };
            length = number;
        } else if is("transfer-encoding") {
            chunked = header.value.eq_ignore_ascii_case(b"chunked");
        } else if is("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        } else if is("expect") {
            continues = true;
        }
    }
    let rest = &buffer[head..];
    if length > REQUEST_BYTES_MAX || rest.len() > REQUEST_BYTES_MAX * 2 {
        return Seen::Wrong(&answers::TOO_LARGE);
    }
    let body = match chunked {
        true => match chunked_length(rest) {
            Ok(length) => length,
            Err(()) => return Seen::Wrong(&answers::MALFORMED),
        },
        false => Some(length).filter(|length| *length <= rest.len()),
    };
    let Some(body) = body else { return Seen::Part { continues } };
    let answer = answer(request.path.unwrap_or_default(), &rest[..body]);
    Seen::Request { bytes: head + body, answer, closes }
}

/// How many bytes a chunked body (RFC 9112 §7.1, without trailers) takes, if all of it is there.
fn chunked_length(body: &[u8]) -> Result<Option<usize>, ()> {
    let mut at = 0;
    loop {
        let (line, size) = match httparse::parse_chunk_size(&body[at..]) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(()),
        };
        if size > REQUEST_BYTES_MAX as u64 {
            return Err(());
        }
        at += line + size as usize + 2; // the chunk's own line end
        if body.len() < at {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

fn answer(path: &str, body: &[u8]) -> &'static [u8] {
    match path {
        "/v1/chat/completions" | "/openai/v1/chat/completions" => {
            let streams = [&b"\"stream\":true"[..], b"\"stream\": true"];
            if streams.iter().any(|wish| memmem::find(body, wish).is_some()) {
                &answers::CHAT_STREAM
            } else {
                &answers::CHAT
            }
        }
        "/v1/models" | "/openai/v1/models" => &answers::MODELS,
        "/health" => &answers::HEALTH,
        _ => &answers::NOT_FOUND,
    }
}
