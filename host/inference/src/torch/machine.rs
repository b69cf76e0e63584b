//! The stack machine that a pickle is written for (Python's `pickletools`), cut down to protocol 2 and dictionaries of tensors.
//!
//! Values lie in one list, and the stack, the memo and other values name them by number: a value that is used again is never copied, and an
//! opcode makes one value at most, so that memory follows the pickle's length.

use std::collections::HashMap;
use std::path::Path;

use super::pickle::{Dtype, Limits, TensorEntry};
use crate::error::ModelError;

pub(super) type NodeId = usize;

#[derive(Debug)]
pub(super) enum Node<'a> {
    None,
    /// True or false, of which no reader asks which.
    Truth,
    Integer(i64),
    Text(&'a str),
    Tuple(Vec<NodeId>),
    Dictionary(Vec<(NodeId, NodeId)>),
    Name(Name),
    Storage {
        dtype: Dtype,
        key: &'a str,
        count: u64,
    },
    Tensor(TensorEntry),
}

/// The names of Python that are known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    Storage(Dtype),
}

#[derive(Debug)]
pub(super) struct Machine<'a> {
    rest: &'a [u8],
    path: &'a Path,
    limits: Limits,
    nodes: Vec<Node<'a>>,
    stack: Vec<NodeId>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, NodeId>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(pickle: &'a [u8], path: &'a Path, limits: Limits) -> Self {
        let (nodes, stack, marks, memo) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
        Self { rest: pickle, path, limits, nodes, stack, marks, memo }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id]
    }

    /// Run to the pickle's end, where its value stands alone on the stack.
    pub(super) fn run(&mut self) -> Result<NodeId, ModelError> {
        if self.bytes()? != [0x80, 2] {
            return Err(self.unsupported("pickle", "another protocol".to_owned(), "protocol 2"));
        }
        loop {
            let [opcode] = self.bytes()?;
            if opcode == b'.' {
                let root = self.pop()?;
                return match self.stack.is_empty() && self.marks.is_empty() && self.rest.is_empty() {
                    true => Ok(root),
                    false => Err(self.malformed("its pickle goes on after its value")),
                };
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), ModelError> {
        match opcode {
            b'N' => self.push(Node::None),
            0x88 | 0x89 => self.push(Node::Truth),
            b'K' => {
                let [value] = self.bytes()?;
                self.push(Node::Integer(value.into()))
            }
            b'M' => {
                let value = u16::from_le_bytes(self.bytes()?);
                self.push(Node::Integer(value.into()))
            }
            b'J' => {
                let value = i32::from_le_bytes(self.bytes()?);
                self.push(Node::Integer(value.into()))
            }
            0x8A => self.long(),
            b'X' => {
                let length = u32::from_le_bytes(self.bytes()?) as usize;
                let text = std::str::from_utf8(self.take(length)?);
                let text = text.map_err(|_| self.malformed("a text is not UTF-8"))?;
                self.push(Node::Text(text))
            }
            b'c' => self.name(),
            b'(' => {
                if self.marks.len() >= self.limits.stack_max {
                    return Err(self.malformed("its pickle has too many marks"));
                }
                self.marks.push(self.stack.len());
                Ok(())
            }
            b')' => self.push(Node::Tuple(Vec::new())),
            b't' => {
                let items = self.pop_marked()?;
                self.push(Node::Tuple(items))
            }
            0x85..=0x87 => {
                let mut items = vec![0; usize::from(opcode - 0x84)];
                for item in items.iter_mut().rev() {
                    *item = self.pop()?;
                }
                self.push(Node::Tuple(items))
            }
            b'}' => self.push(Node::Dictionary(Vec::new())),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])
            }
            b'u' => {
                let items = self.pop_marked()?;
                self.set(&items)
            }
            b'q' => {
                let [number] = self.bytes()?;
                self.remember(number.into())
            }
            b'r' => {
                let number = u32::from_le_bytes(self.bytes()?);
                self.remember(number)
            }
            b'h' => {
                let [number] = self.bytes()?;
                self.recall(number.into())
            }
            b'j' => {
                let number = u32::from_le_bytes(self.bytes()?);
                self.recall(number)
            }
            b'Q' => self.storage(),
            b'R' => self.call(),
            b'b' => self.attributes(),
            other => {
                let known = "those of dictionaries of tensors in protocol 2";
                Err(self.unsupported("pickle opcode", format!("{other:#04x}"), known))
            }
        }
    }

    /// An integer of up to eight bytes, the last of which has the sign.
    fn long(&mut self) -> Result<(), ModelError> {
        let [length] = self.bytes()?;
        let bytes = self.take(length.into())?;
        if bytes.len() > 8 {
            return Err(self.malformed("an integer has more than 64 bits"));
        }
        let sign = if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xFF } else { 0 };
        let mut whole = [sign; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        self.push(Node::Integer(i64::from_le_bytes(whole)))
    }

    fn name(&mut self) -> Result<(), ModelError> {
        let (module, name) = (self.line()?, self.line()?);
        let name = match (module, name) {
            (b"collections", b"OrderedDict") => Name::OrderedDict,
            (b"torch._utils", b"_rebuild_tensor_v2") => Name::RebuildTensor,
            (b"torch", b"FloatStorage") => Name::Storage(Dtype::F32),
            (b"torch", b"HalfStorage") => Name::Storage(Dtype::F16),
            (b"torch", b"BFloat16Storage") => Name::Storage(Dtype::BF16),
            (b"torch", b"LongStorage") => Name::Storage(Dtype::I64),
            _ => {
                let text = |bytes| String::from_utf8_lossy(bytes).chars().take(64).collect::<String>();
                let found = format!("{}.{}", text(module), text(name));
                let known = "OrderedDict, _rebuild_tensor_v2, and storages of float, half, bfloat16 and long";
                return Err(self.unsupported("Python name", found, known));
            }
        };
        self.push(Node::Name(name))
    }

    /// `('storage', type, key, device, count)` becomes a storage, wherever it lay when it was saved.
    fn storage(&mut self) -> Result<(), ModelError> {
        let id = self.pop()?;
        let found = match self.tuple(id) {
            Some([kind, dtype, key, device, count]) => {
                match (
                    self.node(*kind),
                    self.node(*dtype),
                    self.node(*key),
                    self.node(*device),
                    self.node(*count),
                ) {
                    (
                        Node::Text("storage"),
                        Node::Name(Name::Storage(dtype)),
                        Node::Text(key),
                        Node::Text(_),
                        Node::Integer(count),
                    ) => Some((*dtype, *key, *count)),
                    _ => None,
                }
            }
            _ => None,
        };
        let digits =
            |key: &str| (1..=9).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_digit());
        match found {
            Some((dtype, key, count)) if count >= 0 && digits(key) => {
                self.push(Node::Storage { dtype, key, count: count.unsigned_abs() })
            }
            _ => Err(self.malformed("what stands for a storage is none")),
        }
    }

    fn call(&mut self) -> Result<(), ModelError> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let made = match (self.node(function), self.tuple(arguments)) {
            (Node::Name(Name::OrderedDict), Some([])) => Node::Dictionary(Vec::new()),
            (Node::Name(Name::RebuildTensor), Some([storage, offset, shape, strides, _, _])) => {
                let tensor = self.tensor(*storage, *offset, *shape, *strides);
                Node::Tensor(tensor.map_err(|reason| self.malformed(reason))?)
            }
            _ => return Err(self.malformed("a call is not one of those that make dictionaries and tensors")),
        };
        self.push(made)
    }

    fn tensor(
        &self,
        storage: NodeId,
        offset: NodeId,
        shape: NodeId,
        strides: NodeId,
    ) -> Result<TensorEntry, &'static str> {
        let (Node::Storage { dtype, key, count: storage_count }, Node::Integer(offset)) =
            (self.node(storage), self.node(offset))
        else {
            return Err("a tensor has no storage");
        };
        let (Some(shape), Some(strides)) = (self.integers(shape), self.integers(strides)) else {
            return Err("a tensor's shape or strides are not numbers from 0, or too many");
        };
        if shape.len() != strides.len() {
            return Err("a tensor has other strides than dimensions");
        }
        let mut count = 1_u64;
        for (size, stride) in shape.iter().zip(&strides).rev() {
            // What is stepped over never is nobody's business where there is one of it.
            if *size > 1 && *stride != count {
                return Err("a tensor's elements do not lie behind one another");
            }
            count = count.checked_mul(*size).ok_or("a tensor's shape overflows")?;
        }
        let offset = u64::try_from(*offset).map_err(|_| "a tensor begins before its storage")?;
        if offset.checked_add(count).is_none_or(|end| end > *storage_count) {
            return Err("a tensor ends behind its storage");
        }
        let shape = shape.into_iter().map(|size| size as usize).collect();
        let storage = (*key).to_owned();
        Ok(TensorEntry { storage, dtype: *dtype, storage_count: *storage_count, offset, shape, count })
    }

    /// An object's attributes, of which PyTorch gives a dictionary its versions: dropped.
    fn attributes(&mut self) -> Result<(), ModelError> {
        let state = self.pop()?;
        let object = self.top()?;
        match (self.node(object), self.node(state)) {
            (Node::Dictionary(_), Node::Dictionary(_)) => Ok(()),
            _ => Err(self.malformed("something that is no dictionary has attributes")),
        }
    }

    /// Keys and values, in turn, into the dictionary on top.
    fn set(&mut self, items: &[NodeId]) -> Result<(), ModelError> {
        let at = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.nodes[at] {
            Node::Dictionary(entries) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|[key, value]| (*key, *value)));
                Ok(())
            }
            _ => Err(self.malformed("entries are set where there is no dictionary for them")),
        }
    }

    fn remember(&mut self, number: u32) -> Result<(), ModelError> {
        let top = self.top()?;
        if self.memo.len() >= self.limits.memo_max {
            return Err(self.malformed("its pickle remembers too many values"));
        }
        self.memo.insert(number, top);
        Ok(())
    }

    fn recall(&mut self, number: u32) -> Result<(), ModelError> {
        let id = self.memo.get(&number).copied();
        let id = id.ok_or_else(|| self.malformed("its pickle recalls what it never remembered"))?;
        self.push_id(id)
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), ModelError> {
        self.nodes.push(node);
        self.push_id(self.nodes.len() - 1)
    }

    fn push_id(&mut self, id: NodeId) -> Result<(), ModelError> {
        if self.stack.len() >= self.limits.stack_max {
            return Err(self.malformed("its pickle's stack is too high"));
        }
        self.stack.push(id);
        Ok(())
    }

    /// The value on top; none below the last mark.
    fn top(&self) -> Result<NodeId, ModelError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above = &self.stack[floor..];
        above.last().copied().ok_or_else(|| self.malformed("its pickle takes from an empty stack"))
    }

    fn pop(&mut self) -> Result<NodeId, ModelError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_marked(&mut self) -> Result<Vec<NodeId>, ModelError> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed("its pickle lacks a mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&self, id: NodeId) -> Option<&[NodeId]> {
        match self.node(id) {
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    fn integers(&self, id: NodeId) -> Option<Vec<u64>> {
        let items = self.tuple(id).filter(|items| items.len() <= self.limits.dimensions_max)?;
        let integer = |id: &NodeId| match self.node(*id) {
            Node::Integer(value) => u64::try_from(*value).ok(),
            _ => None,
        };
        items.iter().map(integer).collect()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ModelError> {
        let split = self.rest.split_at_checked(length);
        let (taken, rest) = split.ok_or_else(|| self.malformed("its pickle ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn line(&mut self) -> Result<&'a [u8], ModelError> {
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| self.malformed("its pickle ends within a name"))?;
        let line = self.take(end)?;
        self.take(1)?;
        Ok(line)
    }

    fn malformed(&self, reason: &str) -> ModelError {
        ModelError::Malformed { path: self.path.to_owned(), reason: reason.to_owned() }
    }

    fn unsupported(&self, what: &'static str, found: String, known: &'static str) -> ModelError {
        ModelError::Unsupported { what, found, known }
    }
}
