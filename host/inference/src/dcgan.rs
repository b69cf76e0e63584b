//! Generators of the DCGAN family (Radford et al., arXiv:1511.06434) from a checkpoint of PyTorch: a hundred random numbers become a picture.
//!
//! The layers are those of PyTorch's own tutorial (`DCGAN Tutorial`, pytorch.org): five transposed convolutions of 4 × 4, the first over one
//! pixel, the others to twice the side, each but the last with batch norm and ReLU behind it, the last with tanh. As a trained network does,
//! batch norm uses the means and variances of the file, so that it is a factor and a bias of each channel and is multiplied into the weights.

mod network;

use std::path::Path;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::error::ModelError;
use crate::kernels::cpu::Cpu;
use crate::picture::Picture;
use crate::planner::Needs;
use crate::torch::{Checkpoint, Limits};
use network::{Network, Plan};

/// Bytes of a checkpoint: the tutorial's generators have 14 MB.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// What a generator is and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DcganInfo {
    /// Random numbers that a picture is made of.
    pub latents: usize,
    /// Pixels of a picture's side.
    pub side: usize,
    /// Weights, counted singly, those of batch norm included.
    pub parameters: u64,
    /// Bytes for weights and working space: what a loaded model takes before any request.
    pub memory_bytes: u64,
}

/// A loaded generator. Computing with it blocks, for some hundredths of a second.
#[derive(Debug)]
pub struct DcganModel {
    info: DcganInfo,
    network: Network<Cpu>,
}

impl DcganModel {
    /// Load a checkpoint.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong; a damaged or hostile file takes no more memory than its length and the limits of
    /// [`Checkpoint`] allow.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Ok(Self::load_planned(path, None, |_, _| Ok::<_, ModelError>(()))?.0)
    }

    /// What a checkpoint's generator is and takes, from its shapes alone.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with them.
    pub fn inspect(path: &Path) -> Result<DcganInfo, ModelError> {
        described(path).map(|(_, _, info, _)| info)
    }

    /// As [`DcganModel::load`], on so many threads. `admit` decides from what is needed, before weights are read, and gives what is to be
    /// kept beside the model.
    pub(crate) fn load_planned<R, E: From<ModelError>>(
        path: &Path,
        threads: Option<usize>,
        admit: impl FnOnce(&DcganInfo, Needs) -> Result<R, E>,
    ) -> Result<(Self, R), E> {
        let (file, plan, info, needs) = described(path)?;
        let kernels = Cpu::new(threads)?;
        let admitted = admit(&info, needs)?;
        let network = Network::load(kernels, &plan, &file)?;
        Ok((Self { info, network }, admitted))
    }

    /// What the model is and what it takes.
    pub fn info(&self) -> &DcganInfo {
        &self.info
    }

    /// The picture of a seed: the same on every machine but for the last bits of sums, by which a byte may be rounded to its neighbour.
    ///
    /// # Errors
    /// As [`DcganModel::generate_from`].
    pub fn generate(&self, seed: u64) -> Result<Picture, ModelError> {
        self.generate_from(&latents(seed, self.info.latents))
    }

    /// The picture of these random numbers, which the network learned with as normal ones (mean 0, variance 1).
    ///
    /// # Errors
    /// As [`DcganModel::values`].
    pub fn generate_from(&self, latents: &[f32]) -> Result<Picture, ModelError> {
        let bytes = self.values(latents)?.iter().map(|value| ((value + 1.0) * 127.5).round() as u8).collect();
        let side = self.info.side;
        Picture::new(side, side, 3, bytes)
            .ok_or_else(|| ModelError::Compute { reason: "the picture has another size".to_owned() })
    }

    /// What the network gives: red, green and blue from −1 to 1, pixel by pixel, line by line.
    ///
    /// # Errors
    /// [`ModelError::Unanswerable`] for another count of numbers than [`DcganInfo::latents`] or such that are not finite;
    /// [`ModelError::Compute`] where the network gives some that are not.
    pub fn values(&self, latents: &[f32]) -> Result<Vec<f32>, ModelError> {
        let expected = self.info.latents;
        if latents.len() != expected || !latents.iter().all(|value| value.is_finite()) {
            let reason =
                format!("{} numbers, of which all are to be finite and {expected} in count", latents.len());
            return Err(ModelError::Unanswerable { parameter: "latents", reason });
        }
        self.network.run(latents)
    }
}

fn described(path: &Path) -> Result<(Checkpoint, Plan, DcganInfo, Needs), ModelError> {
    let limits = Limits { file_bytes_max: FILE_BYTES_MAX, ..Limits::default() };
    let file = Checkpoint::open(path, limits)?;
    let plan = Plan::new(&file)?;
    let needs = plan.needs::<Cpu>();
    let info = DcganInfo {
        latents: plan.latents(),
        side: plan.size().width,
        parameters: plan.parameters(),
        memory_bytes: needs.whole_bytes(),
    };
    Ok((file, plan, info, needs))
}

/// Normal numbers of a seed, by the transform of Box and Muller (1958): two uniform numbers of 53 bits from ChaCha8 make two normal ones,
/// the cosine's before the sine's, in double precision.
fn latents(seed: u64, count: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let pairs = std::iter::repeat_with(|| {
        // From 1 down to above 0, so that the logarithm is finite.
        let (length, turn) = (1.0 - random.random::<f64>(), random.random::<f64>());
        let (radius, angle) = ((-2.0 * length.ln()).sqrt(), std::f64::consts::TAU * turn);
        [(radius * angle.cos()) as f32, (radius * angle.sin()) as f32]
    });
    pairs.flatten().take(count).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn latents_are_normal_and_those_of_their_seed() {
        let found = super::latents(7, 100_000);
        let mean = |power: i32| found.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / 1e5;
        // Within five standard errors of a normal variable's first, second and fourth moments.
        assert!(mean(1).abs() < 0.016 && (mean(2) - 1.0).abs() < 0.023 && (mean(4) - 3.0).abs() < 0.16);
        assert_eq!(found[..99], super::latents(7, 99));
        assert_ne!(found[..99], super::latents(8, 99));
    }
}
