//! Upscalers of the Real-ESRGAN family (Wang et al., arXiv:2107.10833) on the CPU, from ncnn's files: the compact networks (`SRVGGNetCompact`)
//! and the residual dense ones (`RRDBNet`), of which nothing but the layers of the file is known here.
//!
//! A picture is computed in tiles with a border, so that memory is bounded. The border covers what an output of the compact networks depends
//! on: the result is that of the whole picture but for the last bits of sums, which reach further in Winograd's way, and by which a byte may be
//! rounded to its neighbour. The large networks depend on more than any border could hold, though hardly; theirs is cut at [`BORDER_MAX`]
//! pixels.

mod network;
mod picture;
mod plan;
mod tiles;

use std::fs::File;
use std::path::Path;

use crate::error::ModelError;
use crate::kernels::cpu::Cpu;
use crate::kernels::image::Size;
use crate::ncnn::{Graph, Limits, WeightFile};
use crate::picture::Picture;
use crate::planner::Needs;
use network::Network;
use plan::Plan;
pub use tiles::Tile;

/// Pixels around a tile that are computed with it, at most.
pub const BORDER_MAX: usize = 20;
/// The graph in a model's folder.
const GRAPH: &str = "model.param";
/// The weights in a model's folder.
const WEIGHTS: &str = "model.bin";

/// What an upscaler is and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpscalerInfo {
    /// New side over old side.
    pub scale: usize,
    /// Pixels of a tile's side, without its border.
    pub tile_side: usize,
    /// Pixels around a tile.
    pub border: usize,
    /// Weights, counted singly.
    pub parameters: u64,
    /// Bytes for weights and working space: what a loaded model takes before any request.
    pub memory_bytes: u64,
}

/// A loaded upscaler. Computing with it blocks; [`crate::ImageMaker`] does so on a thread of its own.
#[derive(Debug)]
pub struct EsrganModel {
    info: UpscalerInfo,
    network: Network<Cpu>,
}

impl EsrganModel {
    /// Load a folder with `model.param` and `model.bin`; a tile may take `tile_bytes_max` while it is computed.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong; a damaged or hostile file takes no more memory than its length and its limits allow.
    pub fn load(folder: &Path, tile_bytes_max: u64) -> Result<Self, ModelError> {
        Self::load_on(folder, tile_bytes_max, None)
    }

    /// As [`EsrganModel::load`], on so many threads; as many as the processor runs at once where it is none.
    ///
    /// # Errors
    /// As [`EsrganModel::load`].
    pub fn load_on(folder: &Path, tile_bytes_max: u64, threads: Option<usize>) -> Result<Self, ModelError> {
        Ok(Self::load_planned(folder, tile_bytes_max, threads, |_, _| Ok::<_, ModelError>(()))?.0)
    }

    /// What a folder's network is and takes with tiles of so many bytes, from its layers alone.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with them.
    pub fn inspect(folder: &Path, tile_bytes_max: u64) -> Result<UpscalerInfo, ModelError> {
        described(folder, tile_bytes_max, &Cpu::new(None)?).map(|(_, _, info, _)| info)
    }

    /// As [`EsrganModel::load`], on so many threads. `admit` decides from what is needed, before weights are read, and gives what is to be
    /// kept beside the model.
    pub(crate) fn load_planned<R, E: From<ModelError>>(
        folder: &Path,
        tile_bytes_max: u64,
        threads: Option<usize>,
        admit: impl FnOnce(&UpscalerInfo, Needs) -> Result<R, E>,
    ) -> Result<(Self, R), E> {
        let kernels = Cpu::new(threads)?;
        let (graph, plan, info, needs) = described(folder, tile_bytes_max, &kernels)?;
        let mut weights = WeightFile::open(&folder.join(WEIGHTS), &graph)?;
        let admitted = admit(&info, needs)?;
        let network = Network::load(kernels, plan, &mut weights)?;
        Ok((Self { info, network }, admitted))
    }

    /// What the model is and what it takes.
    pub fn info(&self) -> &UpscalerInfo {
        &self.info
    }

    /// The pieces that a picture is computed in, in order.
    pub fn tiles(&self, picture: &Picture) -> Vec<Tile> {
        tiles::tiles(picture.size(), self.info.tile_side, self.info.border)
    }

    /// An empty picture of the new size; its alpha, where there is one, is the old one's, bilinear.
    pub fn begin(&self, picture: &Picture) -> Picture {
        picture.enlarged(self.info.scale)
    }

    /// Compute one tile of `picture` into `out`, which [`EsrganModel::begin`] gave.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where the network gives numbers that are not finite.
    pub fn compute(&self, picture: &Picture, tile: Tile, out: &mut Picture) -> Result<(), ModelError> {
        let window = tile.window;
        let size = Size { height: window.height, width: window.width };
        let values = self.network.run(&picture.window(window), size)?;
        out.place(&values, tile, self.info.scale);
        Ok(())
    }

    /// The whole picture.
    ///
    /// # Errors
    /// As [`EsrganModel::compute`].
    pub fn upscale(&self, picture: &Picture) -> Result<Picture, ModelError> {
        let mut out = self.begin(picture);
        for tile in self.tiles(picture) {
            self.compute(picture, tile, &mut out)?;
        }
        Ok(out)
    }
}

fn described(
    folder: &Path,
    tile_bytes_max: u64,
    kernels: &Cpu,
) -> Result<(Graph, Plan, UpscalerInfo, Needs), ModelError> {
    let path = folder.join(GRAPH);
    let file = File::open(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
    let graph = Graph::read(file, &path, Limits::default())?;
    let plan = Plan::new(&graph)?;
    let tile_side = plan.tile_side(tile_bytes_max)?;
    let needs = plan.needs(kernels, tile_side);
    let info = UpscalerInfo {
        scale: plan.scale,
        tile_side,
        border: plan.border,
        parameters: plan.parameters(),
        memory_bytes: needs.whole_bytes(),
    };
    Ok((graph, plan, info, needs))
}
