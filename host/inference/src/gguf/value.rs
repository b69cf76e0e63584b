//! Metadata values. Widths are folded: what matters to a reader is "a whole number", not how many bytes it took.

use std::io::{Read, Seek};

use super::cursor::Cursor;
use crate::error::ModelError;

/// One metadata value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Unsigned, of any width.
    Unsigned(u64),
    /// Signed, of any width.
    Signed(i64),
    /// Floating, of either width.
    Real(f64),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// A list of one type.
    Array(Array),
}

/// The lists that model files carry. Lists of lists are not read: no known key uses one.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// Text, such as the vocabulary.
    Text(Vec<String>),
    /// Whole numbers of any width, such as token types.
    Whole(Vec<i64>),
    /// Floating numbers of either width, such as scores.
    Real(Vec<f64>),
    /// True or false.
    Bool(Vec<bool>),
}

impl Value {
    /// The value as a non-negative whole number.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(n) => Some(*n),
            Self::Signed(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// The value as a floating number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Real(x) => Some(*x),
            _ => None,
        }
    }

    /// The value as text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as true or false.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The value as a list of texts.
    pub fn as_texts(&self) -> Option<&[String]> {
        match self {
            Self::Array(Array::Text(texts)) => Some(texts),
            _ => None,
        }
    }

    /// The value as a list of whole numbers.
    pub fn as_wholes(&self) -> Option<&[i64]> {
        match self {
            Self::Array(Array::Whole(numbers)) => Some(numbers),
            _ => None,
        }
    }

    pub(super) fn read<R: Read + Seek>(cursor: &mut Cursor<'_, R>) -> Result<Self, ModelError> {
        match cursor.u32()? {
            ARRAY => Array::read(cursor).map(Self::Array),
            kind => read_scalar(cursor, kind),
        }
    }
}

const TEXT: u32 = 8;
const ARRAY: u32 = 9;

fn read_scalar<R: Read + Seek>(cursor: &mut Cursor<'_, R>, kind: u32) -> Result<Value, ModelError> {
    Ok(match kind {
        0 => Value::Unsigned(u8::from_le_bytes(cursor.bytes()?).into()),
        1 => Value::Signed(i8::from_le_bytes(cursor.bytes()?).into()),
        2 => Value::Unsigned(u16::from_le_bytes(cursor.bytes()?).into()),
        3 => Value::Signed(i16::from_le_bytes(cursor.bytes()?).into()),
        4 => Value::Unsigned(u32::from_le_bytes(cursor.bytes()?).into()),
        5 => Value::Signed(i32::from_le_bytes(cursor.bytes()?).into()),
        6 => Value::Real(f32::from_le_bytes(cursor.bytes()?).into()),
        7 => match cursor.bytes()? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            [other] => return Err(cursor.malformed(format!("a boolean in it has the value {other}"))),
        },
        TEXT => Value::Text(cursor.string()?),
        10 => Value::Unsigned(u64::from_le_bytes(cursor.bytes()?)),
        11 => Value::Signed(i64::from_le_bytes(cursor.bytes()?)),
        12 => Value::Real(f64::from_le_bytes(cursor.bytes()?)),
        other => return Err(cursor.malformed(format!("a metadata value has the unknown type {other}"))),
    })
}

impl Array {
    fn read<R: Read + Seek>(cursor: &mut Cursor<'_, R>) -> Result<Self, ModelError> {
        let kind = cursor.u32()?;
        let element_bytes = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            TEXT | 10..=12 => 8,
            other => return Err(cursor.malformed(format!("a metadata list has elements of type {other}"))),
        };
        let length = cursor.array_length(element_bytes)?;
        match kind {
            TEXT => collect(cursor, kind, length, |value| match value {
                Value::Text(text) => Some(text),
                _ => None,
            })
            .map(Self::Text),
            7 => collect(cursor, kind, length, |value| value.as_bool()).map(Self::Bool),
            6 | 12 => collect(cursor, kind, length, |value| value.as_f64()).map(Self::Real),
            _ => collect(cursor, kind, length, |value| match value {
                Value::Unsigned(n) => i64::try_from(n).ok(),
                Value::Signed(n) => Some(n),
                _ => None,
            })
            .map(Self::Whole),
        }
    }
}

/// Grows with what is really read, so that a claimed length alone takes no memory.
fn collect<R: Read + Seek, T>(
    cursor: &mut Cursor<'_, R>,
    kind: u32,
    length: usize,
    convert: impl Fn(Value) -> Option<T>,
) -> Result<Vec<T>, ModelError> {
    let mut items = Vec::new();
    for _ in 0..length {
        let value = read_scalar(cursor, kind)?;
        if kind != TEXT {
            cursor.charge(size_of::<T>() as u64)?;
        }
        let item = convert(value).ok_or_else(|| cursor.malformed("a number in a list is out of range"))?;
        items.push(item);
    }
    Ok(items)
}
