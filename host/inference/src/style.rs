//! Pictures repainted in the style of others: one network that was trained on several styles and mixes them (Dumoulin et al., “A Learned
//! Representation for Artistic Style”, arXiv:1610.07629), as an ONNX file that rten runs on the CPU.
//!
//! The network is fully convolutional, but each of its layers is normalised by the mean and variance of the whole picture: a picture cut into
//! tiles would be another. So it is computed at once, and how large it may be is decided when the model is loaded.

mod canvas;

use std::path::Path;

use rten::NodeId;
use rten_tensor::{Layout as _, NdTensor};

use crate::error::ModelError;
use crate::folder;
use crate::kernels::image::Size;
use crate::onnx;
use crate::picture::Picture;
use crate::planner::Needs;
use canvas::Canvas;

/// Bytes of a network's file; the published one has 0.75 MB.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// What rten holds for a loaded network, for each byte of its file, with what it makes of the graph; 3 MB of the published one.
const LOADED_PER_BYTE: u64 = 4;
/// What a run takes for each pixel of its canvas, what a picture becomes before and after it included: 425 were measured with the published
/// network for 1024 × 1024 pixels on 2 threads, 450 on 16. Most of it are three values of 32 channels.
const RUN_BYTES_PER_PIXEL: u64 = 480;
/// Pixels of a picture where nothing else is said: 1024 × 1024.
pub const PIXELS_MAX: usize = 1 << 20;
/// The input for a picture: 1 × 3 × height × width, red, green and blue from 0 to 1.
const IMAGE: &str = "image";
/// The input for the parts of the styles, of the sum 1.
const WEIGHTS: &str = "style_weights";
/// The output, of the picture's shape and range.
const STYLIZED: &str = "stylized";

/// A network that is known, whatever its weights are. What it takes was measured; of another it would not be known.
struct Graph {
    sha256: &'static str,
    styles: usize,
    parameters: u64,
}

/// All that are known.
const GRAPHS: [Graph; 1] = [Graph {
    sha256: "45e4a9c83bcc5f2d167cd614f75428e6ae9e2503be8bc9f72e4f639d2905a262",
    styles: 26,
    parameters: 166_104,
}];
/// Their names.
const KNOWN: &str = "the graph of multistyle26";

/// What a network of styles is and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StyleInfo {
    /// Styles that it mixes. They have no names.
    pub styles: usize,
    /// Pixels of a picture at most.
    pub pixels_max: usize,
    /// Weights, counted singly.
    pub parameters: u64,
    /// Bytes for weights and working space: what a loaded model takes while it repaints the largest picture.
    pub memory_bytes: u64,
}

/// A loaded network of styles. Computing with it blocks, for some tenths of a second.
pub struct StyleModel {
    info: StyleInfo,
    network: onnx::Network,
    image: NodeId,
    weights: NodeId,
    stylized: NodeId,
}

impl StyleModel {
    /// Load a network from its ONNX file, for pictures of at most [`PIXELS_MAX`].
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Ok(Self::load_planned(path, None, PIXELS_MAX, |_, _| Ok::<_, ModelError>(()))?.0)
    }

    /// As [`StyleModel::load`], on so many threads and for pictures of at most `pixels_max`. `admit` decides from what is needed, before the
    /// network is built, and gives what is to be kept beside the model.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong, or what `admit` says.
    pub fn load_planned<R, E: From<ModelError>>(
        path: &Path,
        threads: Option<usize>,
        pixels_max: usize,
        admit: impl FnOnce(&StyleInfo, Needs) -> Result<R, E>,
    ) -> Result<(Self, R), E> {
        let (file, info, needs) = described(path, pixels_max)?;
        let admitted = admit(&info, needs)?;
        let network = file.load(threads)?;
        let [image, weights, stylized] =
            [network.node(IMAGE)?, network.node(WEIGHTS)?, network.node(STYLIZED)?];
        Ok((Self { info, network, image, weights, stylized }, admitted))
    }

    /// What a file's network is and takes for pictures of at most [`PIXELS_MAX`], from its graph alone.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with it.
    pub fn inspect(path: &Path) -> Result<StyleInfo, ModelError> {
        described(path, PIXELS_MAX).map(|(_, info, _)| info)
    }

    /// What the model is and what it takes.
    pub fn info(&self) -> &StyleInfo {
        &self.info
    }

    /// The picture in a mix of styles: of the same size and with the same alpha. `weights` says for each style how much of it there is in the
    /// mix, beside the others: they need not have the sum 1.
    ///
    /// # Errors
    /// [`ModelError::Unanswerable`] for another count of weights than [`StyleInfo::styles`], for such that are below 0, not finite or all 0
    /// (`style`), and for a picture of more than [`StyleInfo::pixels_max`] or of such a shape that it is far larger once its sides are those
    /// that the network takes (`image`); [`ModelError::Compute`] where the network fails.
    pub fn restyle(&self, picture: &Picture, weights: &[f32]) -> Result<Picture, ModelError> {
        let weights = self.parts(weights)?;
        let canvas = self.canvas(picture)?;
        let Size { height, width } = canvas.size;
        let image = NdTensor::from_data([1, 3, height, width], canvas.colours(picture));
        let weights = NdTensor::from_data([weights.len()], weights);
        let inputs = vec![(self.image, image.into()), (self.weights, weights.into())];
        let found = self.network.run(inputs, self.stylized)?;
        if found.shape() != [1, 3, height, width] {
            let reason = format!("it gives the shape {:?} for {width} × {height} pixels", found.shape());
            return Err(ModelError::Compute { reason });
        }
        Ok(canvas.painted(picture, &found.into_data()))
    }

    /// Weights of the sum 1.
    fn parts(&self, weights: &[f32]) -> Result<Vec<f32>, ModelError> {
        let styles = self.info.styles;
        let unanswerable = |reason| ModelError::Unanswerable { parameter: "style", reason };
        if weights.len() != styles {
            return Err(unanswerable(format!("{} weights for {styles} styles", weights.len())));
        }
        if !weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0) {
            return Err(unanswerable("a weight is below 0 or not finite".to_owned()));
        }
        let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        if sum == 0.0 {
            return Err(unanswerable("no style has a weight above 0".to_owned()));
        }
        Ok(weights.iter().map(|weight| (f64::from(*weight) / sum) as f32).collect())
    }

    fn canvas(&self, picture: &Picture) -> Result<Canvas, ModelError> {
        let (pixels_max, Size { height, width }) = (self.info.pixels_max, picture.size());
        let canvas = Canvas::new(picture.size());
        let fits = canvas.pixels().is_some_and(|pixels| pixels <= Canvas::pixels_max(pixels_max));
        if width * height > pixels_max || !fits {
            let reason = format!(
                "{width} × {height} pixels are computed as {} × {}; at most {pixels_max} are",
                canvas.size.width, canvas.size.height
            );
            return Err(ModelError::Unanswerable { parameter: "image", reason });
        }
        Ok(canvas)
    }
}

impl Graph {
    /// The graph of a file.
    fn of(file: &onnx::File) -> Result<&'static Self, ModelError> {
        let sha256 = file.graph_sha256();
        GRAPHS.iter().find(|graph| graph.sha256 == sha256).ok_or(ModelError::Unsupported {
            what: "the graph of the SHA-256",
            found: sha256,
            known: KNOWN,
        })
    }
}

fn described(path: &Path, pixels_max: usize) -> Result<(onnx::File, StyleInfo, Needs), ModelError> {
    let file = onnx::File::new(path, folder::read(path, FILE_BYTES_MAX)?)?;
    let &Graph { styles, parameters, .. } = Graph::of(&file)?;
    let needs = needs(file.len(), pixels_max);
    let info = StyleInfo { styles, pixels_max, parameters, memory_bytes: needs.whole_bytes() };
    Ok((file, info, needs))
}

fn needs(file_bytes: u64, pixels_max: usize) -> Needs {
    let pixels = Canvas::pixels_max(pixels_max) as u64;
    Needs {
        ends_bytes: file_bytes * LOADED_PER_BYTE,
        workspace_bytes: pixels.saturating_mul(RUN_BYTES_PER_PIXEL),
        ..Needs::default()
    }
}

impl std::fmt::Debug for StyleModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StyleModel").field("info", &self.info).finish_non_exhaustive()
    }
}
