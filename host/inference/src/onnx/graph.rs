//! Which graph a file has, whatever its weights are.
//!
//! Weights are tensors of floats with at least one dimension. Whole numbers are shapes, axes and places, and single numbers are steps and
//! bounds: what is computed from them decides how much memory a run takes, so they belong to the graph.

use sha2::{Digest as _, Sha256};

use super::framing::{Value, fields};

/// The field of a model that is its graph.
const GRAPH: u64 = 7;
/// The field of a graph that is a tensor of weights.
const INITIALIZER: u64 = 5;
/// The field of a tensor that is one of its dimensions, or all of them.
const DIMENSIONS: u64 = 1;
/// The field of a tensor that is the type of its numbers.
const DATA_TYPE: u64 = 2;
/// The type of 32-bit floats.
const FLOAT: u64 = 1;
/// The field of a tensor that is its numbers as bytes.
const RAW_DATA: u64 = 9;

/// The SHA-256 of every field of a file but for the bytes of its weights, of which there is the count: in order, its number, its kind, and
/// its value with the length before it. Files that have it in common are the same but for those bytes.
pub(super) fn sha256(model: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    add(&mut digest, model, &[GRAPH, INITIALIZER]);
    digest.finalize().into()
}

/// Add the fields of a message. `path` are the numbers of the fields that lead to weights from here; none where these are weights.
fn add(digest: &mut Sha256, message: &[u8], path: &[u64]) {
    let are_weights = path.is_empty() && is_weights(message);
    for (number, value) in fields(message) {
        digest.update(number.to_le_bytes());
        match (value, path) {
            (Value::Number(value), _) => {
                digest.update(b"n");
                digest.update(value.to_le_bytes());
            }
            (Value::Bytes(message), [next, rest @ ..]) if number == *next => {
                digest.update(b"(");
                add(digest, message, rest);
                // No field has the number 0.
                digest.update([0; 8]);
            }
            (Value::Bytes(weights), _) if are_weights && number == RAW_DATA => {
                digest.update(b"w");
                digest.update((weights.len() as u64).to_le_bytes());
            }
            (Value::Word(bytes) | Value::Bytes(bytes), _) => {
                digest.update(b"b");
                digest.update((bytes.len() as u64).to_le_bytes());
                digest.update(bytes);
            }
        }
    }
}

/// Whether a tensor is floats of at least one dimension.
fn is_weights(tensor: &[u8]) -> bool {
    let has_dimensions = fields(tensor).any(|(number, _)| number == DIMENSIONS);
    has_dimensions && fields(tensor).any(|field| field == (DATA_TYPE, Value::Number(FLOAT)))
}

#[cfg(test)]
mod tests {
    use super::sha256;

    /// A model of one node's name and one tensor's dimension, type and numbers.
    fn typed(node: u8, dimension: u8, kind: u8, weights: &[u8; 2]) -> Vec<u8> {
        let node = [0x0a, 3, 0x1a, 1, node];
        let tensor = [0x2a, 8, 0x08, dimension, 0x10, kind, 0x4a, 2, weights[0], weights[1]];
        [&[0x3a, 15][..], &node, &tensor].concat()
    }

    fn model(node: u8, dimension: u8, weights: &[u8; 2]) -> Vec<u8> {
        typed(node, dimension, 1, weights)
    }

    #[test]
    fn whole_numbers_and_single_ones_are_part_of_a_graph() {
        assert_ne!(sha256(&typed(b'a', 2, 7, b"xy")), sha256(&typed(b'a', 2, 7, b"zz")));
        let single =
            |numbers: [u8; 2]| sha256(&[&[0x3a, 8, 0x2a, 6, 0x10, 1, 0x4a, 2], &numbers[..]].concat());
        assert_ne!(single(*b"xy"), single(*b"zz"));
    }

    #[test]
    fn weights_are_no_part_of_a_graph_and_all_else_is() {
        let known = sha256(&model(b'a', 2, b"xy"));
        assert_eq!(known, sha256(&model(b'a', 2, b"zz")));
        assert_ne!(known, sha256(&model(b'b', 2, b"xy")));
        assert_ne!(known, sha256(&model(b'a', 1, b"xy")));
        // The same beside it, once more.
        assert_ne!(known, sha256(&model(b'a', 2, b"xy").repeat(2)));
        // Bytes of the same number elsewhere.
        assert_ne!(sha256(&[0x4a, 1, b'x']), sha256(&[0x4a, 1, b'y']));
    }
}
