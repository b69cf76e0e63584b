//! ncnn's graphs and weights.

use std::io::Cursor;
use std::path::Path;

use atelier_inference::ncnn::{Graph, LayerWeights, Limits, Weights};

use crate::memory::measured;
use crate::sparse::{SPARSE_BYTES, Sparse};

/// The text of a graph, and behind a zero byte its weights: a graph takes no more memory than its length justifies and takes only values that
/// were given before; weights lie behind one another and fill the file, however large it is.
pub fn ncnn(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(end);
    let stored = rest.get(1..).unwrap_or_default();
    let path = Path::new("fuzzed");
    let (graph, held) = measured(|| Graph::read(text, path, Limits::default()));
    assert!(held <= (8 << 10) + 100 * text.len() as u64, "{held} bytes for a text of {}", text.len());
    let Ok(graph) = graph else { return };
    let mut given = 0;
    for layer in &graph.layers {
        assert!(layer.inputs.iter().all(|value| *value < given), "a value from later");
        for value in &layer.outputs {
            assert_eq!(*value, given, "values are numbered in order");
            given += 1;
        }
    }
    assert_eq!(given, graph.values);
    let length = stored.len() as u64;
    let (found, held) = measured(|| Weights::read(Cursor::new(stored), length, &graph, path));
    assert!(
        held <= (8 << 10) + 400 * graph.layers.len() as u64,
        "{held} bytes for {} layers",
        graph.layers.len()
    );
    // A file far larger than what it holds ends in no layer.
    let sparse = Weights::read(Sparse::new(stored), SPARSE_BYTES, &graph, path);
    assert!(sparse.is_err(), "zeros after the end are not weights");
    let Ok(found) = found else { return };
    assert_eq!(found.layers.len(), graph.layers.len());
    let mut at = 0;
    for weights in found.layers {
        let spans = match weights {
            LayerWeights::None => vec![],
            LayerWeights::Slopes(slopes) => vec![slopes],
            LayerWeights::Convolution { weights, bias } => {
                at += 4;
                vec![weights, bias]
            }
        };
        for span in spans {
            assert_eq!(span.start, at);
            at += span.bytes().next_multiple_of(4);
        }
    }
    assert_eq!(at, length);
}
