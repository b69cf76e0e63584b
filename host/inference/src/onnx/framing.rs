//! Whether bytes are framed as the messages that an ONNX file consists of (`onnx.proto`, in Protocol Buffers: “Encoding”, protobuf.dev),
//! looked at before rten reads them.
//!
//! rten 0.27 believes lengths: it skips what it does not know without asking whether the file has it, so that bytes that are no model at
//! all can send it back to where it was, for ever; it asks for as much memory as a field says that it has; and what ends elsewhere than it
//! says is read on from there. Here every message that rten reads ends where it says, within the one that holds it.

/// Messages of a file: each takes some hundred bytes once it is read, and a voice of Piper's has less than 20,000.
const MESSAGES_MAX: usize = 1 << 18;
/// Messages within each other. A graph within a node takes three.
const DEPTH_MAX: usize = 32;

/// The kinds of messages that rten reads.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    SequenceType,
    Shape,
    /// One of texts and numbers alone.
    Leaf,
}

/// What a field with a length holds.
enum Content {
    Message(Message),
    /// Numbers, each of its own length.
    Varints,
    /// Numbers of so many bytes.
    Words(usize),
    /// Text, bytes, or what rten skips.
    Bytes,
}

impl Message {
    /// What its field of this number holds.
    fn content(self, field: u64) -> Content {
        let message = match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6) => Self::Graph,
            (Self::Model, 8 | 14) | (Self::Tensor, 13) | (Self::Shape, 1) => Self::Leaf,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::Value,
            (Self::Node, 5) => Self::Attribute,
            (Self::Value, 2) | (Self::SequenceType, 1) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::Type, 4) => Self::SequenceType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Attribute, 8) | (Self::Tensor, 1 | 5 | 7) => return Content::Varints,
            (Self::Attribute, 7) | (Self::Tensor, 4) => return Content::Words(4),
            (Self::Tensor, 10) => return Content::Words(8),
            _ => return Content::Bytes,
        };
        Content::Message(message)
    }
}

/// Whether every message of the file ends where it says.
pub(super) fn is_model(bytes: &[u8]) -> bool {
    is_whole(bytes, Message::Model, DEPTH_MAX, &mut MESSAGES_MAX.clone())
}

fn is_whole(bytes: &[u8], message: Message, depth: usize, messages: &mut usize) -> bool {
    if depth == 0 || *messages == 0 {
        return false;
    }
    *messages -= 1;
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((number, value, after)) = field(rest) else { return false };
        rest = after;
        let Value::Bytes(held) = value else { continue };
        let whole = match message.content(number) {
            Content::Message(message) => is_whole(held, message, depth - 1, messages),
            Content::Varints => are_varints(held),
            Content::Words(bytes) => held.len().is_multiple_of(bytes),
            Content::Bytes => true,
        };
        if !whole {
            return false;
        }
    }
    true
}

/// What a field holds.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'b> {
    /// A number of its own length.
    Number(u64),
    /// A number of 4 or 8 bytes.
    Word(&'b [u8]),
    /// Anything with a length before it.
    Bytes(&'b [u8]),
}

/// The number and value of each field of a message, as far as they are whole.
pub(super) fn fields(bytes: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (number, value, after) = field(rest)?;
        rest = after;
        Some((number, value))
    })
}

/// Whether they are numbers behind one another, each of which ends.
fn are_varints(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((_, after)) = varint(rest) else { return false };
        rest = after;
    }
    true
}

/// The first field: its number, its value, and what follows it.
fn field(bytes: &[u8]) -> Option<(u64, Value<'_>, &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let (value, rest) = match tag & 7 {
        0 => varint(rest).map(|(number, rest)| (Value::Number(number), rest))?,
        1 => rest.split_at_checked(8).map(|(word, rest)| (Value::Word(word), rest))?,
        2 => {
            let (length, rest) = varint(rest)?;
            let (held, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            (Value::Bytes(held), rest)
        }
        5 => rest.split_at_checked(4).map(|(word, rest)| (Value::Word(word), rest))?,
        _ => return None,
    };
    Some((tag >> 3, value, rest))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes.iter().take(10).position(|byte| *byte < 0x80)? + 1;
    // The tenth byte has the last of 64 bits.
    if length == 10 && bytes[9] > 1 {
        return None;
    }
    let parts = bytes[..length].iter().enumerate();
    let value = parts.fold(0, |value, (at, byte)| value | u64::from(byte & 0x7f) << (7 * at));
    Some((value, &bytes[length..]))
}

#[cfg(test)]
mod tests {
    use super::is_model;

    /// A field with a length.
    fn field(number: u8, held: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, held.len() as u8], held].concat()
    }

    #[test]
    fn fields_end_within_the_bytes_or_it_is_no_model() {
        assert!(is_model(&[0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 0, 0, 0, 0]));
        assert!(is_model(&[]));
        for wrong in [&[0xff; 20][..], &[0x08], &[0x12, 3, 1, 2], &[0x0b], &[0x09, 1, 2]] {
            assert!(!is_model(wrong), "{wrong:?}");
        }
        // A length that is less than nothing to whoever counts with signs.
        assert!(!is_model(&[0x12, 0xf5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]));
    }

    #[test]
    fn fields_within_fields_end_within_them() {
        let model = |node: &[u8]| field(7, &field(1, node));
        assert!(is_model(&model(&[])) && is_model(&model(&field(1, b"x"))));
        assert!(!is_model(&model(&[0x0a, 2, b'x'])), "a name that ends behind its node");
        assert!(!is_model(&[model(&[0x0a, 2, b'x']), field(1, b"more")].concat()));
        let tensor = |held: &[u8]| field(7, &field(5, held));
        assert!(is_model(&tensor(&field(1, &[3, 0x80, 1]))));
        assert!(!is_model(&tensor(&field(1, &[3, 0x80]))), "a dimension that goes on behind the shape");
        assert!(!is_model(&tensor(&field(1, &[0x80; 11]))));
        assert!(is_model(&tensor(&field(4, &[0; 8]))) && !is_model(&tensor(&field(4, &[0; 7]))));
        assert!(is_model(&tensor(&field(9, &[0; 7]))), "bytes are not looked into");
    }

    #[test]
    fn graphs_within_graphs_and_their_parts_are_bounded() {
        let within = |graph: &[u8]| field(1, &field(5, &field(6, graph)));
        let nested = |times| (0..times).fold(vec![], |graph, _| within(&graph));
        assert!(is_model(&field(7, &nested(10))));
        assert!(!is_model(&field(7, &nested(11))));
        let empty = |count| [&[0x3a][..], &length(2 * count), &[0x0a, 0].repeat(count)].concat();
        assert!(is_model(&empty(super::MESSAGES_MAX - 2)));
        assert!(!is_model(&empty(super::MESSAGES_MAX - 1)));
    }

    fn length(mut bytes: usize) -> Vec<u8> {
        let mut found = vec![];
        while bytes >= 0x80 {
            found.push(bytes as u8 | 0x80);
            bytes >>= 7;
        }
        found.push(bytes as u8);
        found
    }
}
