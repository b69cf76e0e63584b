//! The network: ids of phonemes in, samples out.
//!
//! A voice's file is data from outside, and rten takes as much memory as a graph asks for; where there is not as much, the process ends.
//! So a graph must be one that is known ([`GRAPH`]), and then memory goes with two numbers alone: the ids that go in, and the frames that
//! the network makes of them, which come from the weights. Both are bounded before the network speaks. Of another graph the operator says
//! that it is trusted, by its digest.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rten::{NodeId, ValueOrView};
use rten_tensor::{AsView as _, NdTensor};

use super::voice::{JSON_BYTES_MAX, Scales, Voice};
use crate::error::ModelError;
use crate::onnx;
use crate::planner::Needs;
use crate::running::Described;

/// The network's file in a voice's folder.
const NETWORK: &str = "voice.onnx";
/// The description beside it.
const DESCRIPTION: &str = "voice.onnx.json";
/// The SHA-256 of the graph that is known ([`onnx::File::graph_sha256`]): that of `en_US-joe-medium`, as Piper's training writes it with
/// PyTorch 2.0 for one speaker.
const GRAPH: &str = "65d61d056ead70c427e085358fd80ae04540ffe6ca9ddcaf68ba12c6108f48ce";
const KNOWN: &str = "Piper's graph of one speaker in the size medium, as PyTorch 2.0 writes it. A graph decides how much memory is \
                     taken: where the file is from somebody you trust, give that SHA-256 as the model's graph_sha256";
/// The node of such a graph that has the frames of each id: all that says how large what follows is.
const FRAMES: &str = "/Ceil_output_0";
/// Frames of one run, of which there are some 86 a second.
const FRAMES_MAX: f64 = 2048.0;
/// Ids of one run: attention takes memory with their square. [`PHONEMES_MAX`] are 503 where each is one id.
const IDS_MAX: usize = 1024;
/// Bytes of a network; Piper's largest have 120 MB.
const NETWORK_BYTES_MAX: u64 = 1 << 30;
/// What rten holds for a loaded network, for each byte of its file: 2.2 with `en_US-joe-medium` (most of a process of 141 MB that has
/// spoken one word).
const LOADED_PER_BYTE: f64 = 2.25;
/// What a run takes beside it, of [`FRAMES_MAX`] frames at most: 470 MB at natural length and 630 MiB with 1,755 frames of 503 ids were
/// measured with the same voice, whose sizes all of Piper's `medium` voices have.
const RUN_BYTES: u64 = 768 << 20;
/// Phonemes of one run at natural length. At twice the length it is half as many: memory and time go with what is spoken.
pub const PHONEMES_MAX: usize = 250;
/// The least multiple of the natural length.
pub const LENGTH_MIN: f32 = 0.25;
/// The greatest.
pub const LENGTH_MAX: f32 = 4.0;

/// What a voice is and takes.
#[derive(Clone, Debug, PartialEq)]
pub struct PiperInfo {
    /// Its description.
    pub voice: Voice,
    /// Bytes for weights and working space.
    pub memory_bytes: u64,
}

/// A loaded voice. Computing with it blocks; [`crate::Synthesizer`] does so on a thread of its own.
pub struct PiperModel {
    info: PiperInfo,
    network: onnx::Network,
    inputs: Inputs,
    output: NodeId,
}

/// Nodes by the names that Piper's export gives them.
struct Inputs {
    ids: NodeId,
    lengths: NodeId,
    scales: NodeId,
    /// None where the voice has one speaker.
    speaker: Option<NodeId>,
    /// What the network computes first, and is then given. None where a trusted graph has no such node: what it speaks is not bounded.
    frames: Option<NodeId>,
}

impl Described for PiperModel {
    type Info = PiperInfo;

    fn info(&self) -> &PiperInfo {
        &self.info
    }
}

impl PiperModel {
    /// Load a folder of `voice.onnx` and `voice.onnx.json`. Blocks while it reads. `trusted` is the SHA-256 of a graph that is run beside
    /// the known one, in hexadecimal: it may take any amount of memory.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong; [`ModelError::Unsupported`] tells the SHA-256 of a graph that is neither.
    pub fn load(folder: &Path, trusted: Option<&str>) -> Result<Self, ModelError> {
        Ok(Self::load_planned(folder, trusted, None, |_, _| Ok::<_, ModelError>(()))?.0)
    }

    /// As [`PiperModel::load`]. `admit` decides from what is needed, before the network is read, and gives what is to be kept beside
    /// the model.
    pub(crate) fn load_planned<R, E: From<ModelError>>(
        folder: &Path,
        trusted: Option<&str>,
        threads: Option<usize>,
        admit: impl FnOnce(&PiperInfo, Needs) -> Result<R, E>,
    ) -> Result<(Self, R), E> {
        let (info, needs, file_bytes) = Self::described(folder)?;
        let admitted = admit(&info, needs)?;
        let network = Self::network(folder, file_bytes, trusted)?.load(threads)?;
        let node = |name| network.node(name);
        let speaker = if info.voice.speakers > 1 { Some(node("sid")?) } else { None };
        let inputs = Inputs {
            ids: node("input")?,
            lengths: node("input_lengths")?,
            scales: node("scales")?,
            speaker,
            frames: node(FRAMES).ok(),
        };
        let output = node("output")?;
        Ok((Self { info, network, inputs, output }, admitted))
    }

    /// What a folder's voice is and takes, without loading it.
    ///
    /// # Errors
    /// As of [`PiperModel::load`].
    pub fn inspect(folder: &Path, trusted: Option<&str>) -> Result<PiperInfo, ModelError> {
        let (info, _, file_bytes) = Self::described(folder)?;
        Self::network(folder, file_bytes, trusted)?;
        Ok(info)
    }

    /// The file, where its graph is known or trusted.
    fn network(folder: &Path, file_bytes: u64, trusted: Option<&str>) -> Result<onnx::File, ModelError> {
        let path = folder.join(NETWORK);
        let file = onnx::File::new(&path, read(&path, file_bytes)?)?;
        let sha256 = file.graph_sha256();
        match sha256 == GRAPH || trusted == Some(&*sha256) {
            true => Ok(file),
            false => {
                Err(ModelError::Unsupported { what: "the graph of SHA-256", found: sha256, known: KNOWN })
            }
        }
    }

    fn described(folder: &Path) -> Result<(PiperInfo, Needs, u64), ModelError> {
        let voice = Voice::from_json(&read(&folder.join(DESCRIPTION), JSON_BYTES_MAX)?)?;
        let file_bytes = length(&folder.join(NETWORK), NETWORK_BYTES_MAX)?;
        let needs = Needs {
            ends_bytes: (file_bytes as f64 * LOADED_PER_BYTE) as u64,
            workspace_bytes: RUN_BYTES,
            ..Needs::default()
        };
        Ok((PiperInfo { voice, memory_bytes: needs.whole_bytes() }, needs, file_bytes))
    }

    /// What the voice is and takes.
    pub fn info(&self) -> &PiperInfo {
        &self.info
    }

    /// The rows that phonemes are spoken in at this length, each within [`PHONEMES_MAX`].
    pub fn rows(&self, phonemes: &str, length: f32) -> Vec<Vec<i32>> {
        let phonemes_max = (PHONEMES_MAX as f32 / length.clamp(1.0, LENGTH_MAX)) as usize;
        self.info.voice.ids(phonemes, phonemes_max)
    }

    /// Speak one row: samples of one channel, mostly from −1 to 1, at the voice's rate. Not the same twice but for scales without
    /// noise.
    ///
    /// # Errors
    /// [`ModelError::Unanswerable`] where scales or speaker are out of range or the row is too long, [`ModelError::Compute`] where the
    /// network fails or would speak for too long.
    pub fn speak(&self, row: &[i32], scales: Scales, speaker: usize) -> Result<Vec<f32>, ModelError> {
        let unanswerable = |parameter, reason| ModelError::Unanswerable { parameter, reason };
        scales.check().map_err(|reason| unanswerable("scales", reason))?;
        if speaker >= self.info.voice.speakers {
            let reason = format!("there are {} speakers, from 0", self.info.voice.speakers);
            return Err(unanswerable("speaker", reason));
        }
        if row.len() > IDS_MAX {
            return Err(unanswerable(
                "row",
                format!("it has {} ids; at most {IDS_MAX} are spoken", row.len()),
            ));
        }
        let mut inputs = self.inputs(row, scales, speaker);
        if let Some(node) = self.inputs.frames {
            let frames = self.network.run(self.inputs(row, scales, speaker), node)?;
            let sum: f64 = frames.iter().map(|frames| f64::from(*frames)).sum();
            if sum > FRAMES_MAX {
                let reason = format!("it would speak for {sum} frames; at most {FRAMES_MAX} are spoken");
                return Err(ModelError::Compute { reason });
            }
            inputs.push((node, frames.into()));
        }
        Ok(self.network.run(inputs, self.output)?.into_data())
    }

    fn inputs(&self, row: &[i32], scales: Scales, speaker: usize) -> Vec<(NodeId, ValueOrView<'static>)> {
        let number = |value: usize| NdTensor::from_data([1], vec![value as i32]);
        let scales = NdTensor::from_data([3], vec![scales.noise, scales.length, scales.noise_width]);
        let mut inputs: Vec<(NodeId, ValueOrView<'_>)> = vec![
            (self.inputs.ids, NdTensor::from_data([1, row.len()], row.to_vec()).into()),
            (self.inputs.lengths, number(row.len()).into()),
            (self.inputs.scales, scales.into()),
        ];
        if let Some(node) = self.inputs.speaker {
            inputs.push((node, number(speaker).into()));
        }
        inputs
    }
}

impl std::fmt::Debug for PiperModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PiperModel").field("info", &self.info).finish_non_exhaustive()
    }
}

fn length(path: &Path, bytes_max: u64) -> Result<u64, ModelError> {
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > bytes_max {
        let reason = format!("it has {bytes} bytes; at most {bytes_max} are read");
        return Err(ModelError::Malformed { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ModelError> {
    let expected = length(path, bytes_max)?;
    let io = |source| ModelError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::with_capacity(expected as usize);
    File::open(path).map_err(io)?.take(bytes_max).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}
