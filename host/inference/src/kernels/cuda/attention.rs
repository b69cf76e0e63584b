//! How attention is divided among blocks of threads.

use super::device::Argument::{Count, Floats, Words};
use super::{Cuda, Page, Tensor, count_of};
use crate::error::ModelError;
use crate::kernels::{PAGE_TOKENS, PageShape, Span};

/// The widest head that a block's shared memory has room for.
pub(super) const HEAD_WIDTH_MAX: usize = 256;
const THREADS: u32 = 128;
const WARPS: usize = THREADS as usize / 32;
/// A block looks at this many pages at least before another shares the work.
const PAGES_PER_SPLIT_MIN: usize = 8;
const SPLITS_MAX: usize = 64;

/// A sequence as attention sees it.
pub(super) struct Sequence {
    /// Addresses of its pages.
    pub pages: Vec<u64>,
    /// Rows in the pass.
    pub rows: usize,
    /// Tokens that its first row sees.
    pub seen: usize,
    /// Whether every row sees one token more than the row before.
    pub causal: bool,
}

impl Cuda {
    pub(super) fn store_rows(
        &self,
        [keys, values]: [&Tensor; 2],
        block: usize,
        shape: PageShape,
        places: Vec<u64>,
    ) -> Result<(), ModelError> {
        let width = shape.kv_heads * shape.head_width;
        assert_eq!((keys.width, keys.rows), (width, places.len() / 2), "store: shapes");
        assert_eq!((values.width, values.rows), (width, keys.rows), "store: shapes");
        let places = self.tables.get(&self.device, places)?;
        let count = keys.count();
        let sizes = [block, shape.kv_heads, shape.head_width, padded(shape), count].map(count_of).map(Count);
        let mut arguments = vec![Floats(&keys.values), Floats(&values.values), Words(&places)];
        arguments.extend(sizes);
        self.flat(&self.attention["store"], count, &arguments);
        Ok(())
    }

    /// Where spans keep their rows: a page's address and a slot for each.
    pub(super) fn places(&self, spans: &mut [Span<'_, Page>]) -> Vec<u64> {
        let mut places = Vec::new();
        for span in spans {
            for at in span.start..span.start + span.count {
                places.extend([self.device.address(&span.own(at).values), (at % PAGE_TOKENS) as u64]);
            }
        }
        places
    }

    pub(super) fn attend_sequences(
        &self,
        queries: &Tensor,
        block: usize,
        shape: PageShape,
        sequences: &[Sequence],
        out: &Tensor,
    ) -> Result<(), ModelError> {
        let PageShape { kv_heads, head_width, .. } = shape;
        let heads = queries.width / head_width;
        let group = heads / kv_heads;
        assert_eq!((out.rows, out.width), (queries.rows, queries.width), "attention: shapes");
        assert_eq!(group * kv_heads * head_width, queries.width, "attention: heads");
        assert_eq!(sequences.iter().map(|each| each.rows).sum::<usize>(), queries.rows, "attention: rows");
        let most = sequences.iter().map(|each| each.rows * group).max().unwrap_or(0);
        let together = [1, 4].into_iter().find(|size| most <= *size).unwrap_or(8);
        let (pieces, count) = pieces(sequences, group, together);
        let pages = sequences.iter().map(|each| each.pages.len()).max().unwrap_or(0);
        let busy = self.device.multiprocessors as usize * 4;
        let splits = (busy / (count * kv_heads).max(1)).min(pages / PAGES_PER_SPLIT_MIN).clamp(1, SPLITS_MAX);

        let partial = match splits {
            1 => self.device.zeros(0)?,
            _ => self.device.zeros(queries.rows * heads * splits * (head_width + 2))?,
        };
        let pieces = self.tables.get(&self.device, pieces)?;
        let columns = [2, 4].into_iter().find(|columns| padded(shape) <= columns * 32).unwrap_or(8);
        let kernel = &self.attention[format!("attend_{together}_{columns}").as_str()];
        let shared = together * padded(shape)
            + WARPS * together * PAGE_TOKENS
            + WARPS * together * (padded(shape) + 2);
        let mut arguments =
            vec![Floats(&queries.values), Floats(&out.values), Floats(&partial), Words(&pieces)];
        arguments.extend([block, kv_heads, group, head_width, padded(shape)].map(count_of).map(Count));
        let grid = [count, kv_heads, splits];
        self.device.launch(kernel, grid, THREADS, shared * size_of::<f32>(), &arguments);
        if splits > 1 {
            let sizes = [splits, head_width, queries.count()].map(count_of).map(Count);
            let arguments = [Floats(&partial), Floats(&out.values), sizes[0], sizes[1], sizes[2]];
            self.flat(&self.attention["gather"], queries.count(), &arguments);
        }
        Ok(())
    }
}

/// A head's width as pages have it.
pub(super) fn padded(shape: PageShape) -> usize {
    shape.head_width.next_multiple_of(16)
}

/// What `attention.cu` calls pieces, the addresses of pages after them, and how many pieces there are.
fn pieces(sequences: &[Sequence], group: usize, together: usize) -> (Vec<u64>, usize) {
    let count = sequences.iter().map(|each| (each.rows * group).div_ceil(together)).sum::<usize>();
    let (mut pieces, mut pages, mut first) = (Vec::new(), Vec::new(), 0);
    for sequence in sequences {
        for start in (0..sequence.rows * group).step_by(together) {
            let places = together.min(sequence.rows * group - start);
            let more = usize::from(sequence.causal);
            let piece = [6 * count + pages.len(), first, start, places, sequence.seen, more];
            pieces.extend(piece.map(|number| number as u64));
        }
        pages.extend_from_slice(&sequence.pages);
        first += sequence.rows;
    }
    pieces.extend(pages);
    (pieces, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_place_once_and_point_at_their_sequence_s_pages() {
        let sequence =
            |pages: &[u64], rows, seen| Sequence { pages: pages.to_vec(), rows, seen, causal: true };
        let (table, count) = pieces(&[sequence(&[70], 1, 5), sequence(&[80, 90], 3, 17)], 3, 4);
        let found: Vec<&[u64]> = table[..6 * count].chunks_exact(6).collect();
        let end = 6 * count as u64;
        let right: [&[u64]; 4] = [
            &[end, 0, 0, 3, 5, 1],
            &[end + 1, 1, 0, 4, 17, 1],
            &[end + 1, 1, 4, 4, 17, 1],
            &[end + 1, 1, 8, 1, 17, 1],
        ];
        assert_eq!(found, right);
        assert_eq!(table[6 * count..], [70, 80, 90]);
    }
}
