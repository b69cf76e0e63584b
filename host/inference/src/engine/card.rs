//! Whether a model runs on an NVIDIA card.

use crate::error::ModelError;
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(super) use crate::kernels::cpu::Cpu as Cuda; // never opened
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) use crate::kernels::cuda::Cuda;
use crate::planner::Device;

/// Bytes of a card that are left for its driver, a display and other processes.
const HEADROOM_BYTES: u64 = 512 << 20;

/// Where text models run. Cards have numbers, from 0, as the driver counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Card {
    /// On the processor.
    #[default]
    Never,
    /// On this card where there is one and the whole model fits it, else on the processor; the log says why.
    IfFits(usize),
    /// On this card, or not at all.
    Always(usize),
}

impl Card {
    /// Bytes of the card's memory that nothing uses, and all that it has; none where the processor computes.
    ///
    /// # Errors
    /// As models are refused on it: [`ModelError::Compute`] where there must be a card and is none, or its driver or compiler is missing or
    /// too old.
    pub fn probe(self) -> Result<Option<(u64, u64)>, ModelError> {
        self.open()?.map(|card| said(&card)).transpose()
    }

    /// Whether the processor may take what a card does not.
    pub(super) fn may_be_without(self) -> bool {
        !matches!(self, Self::Always(_))
    }

    /// The card, open. None where the model is to run on the processor.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where there must be a card and is none, or its driver or compiler is missing or too old.
    pub(super) fn open(self) -> Result<Option<Cuda>, ModelError> {
        match self {
            Self::Never => Ok(None),
            Self::Always(ordinal) => open(ordinal).map(Some),
            Self::IfFits(ordinal) => match open(ordinal) {
                Ok(card) => Ok(Some(card)),
                Err(reason) => {
                    tracing::debug!(%reason, "no card is used");
                    Ok(None)
                }
            },
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn open(ordinal: usize) -> Result<Cuda, ModelError> {
    Cuda::open(ordinal)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn said(card: &Cuda) -> Result<(u64, u64), ModelError> {
    card.memory()
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn open(_: usize) -> Result<Cuda, ModelError> {
    Err(ModelError::Compute { reason: "cards are used on Linux on x86-64 alone".to_owned() })
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn said(_: &Cuda) -> Result<(u64, u64), ModelError> {
    Ok((0, 0))
}

/// What the card has, of which models may take so many bytes.
pub(super) fn memory(card: &Cuda, bytes_max: u64) -> Device {
    let (free_bytes, total_bytes) = said(card).unwrap_or_else(|reason| {
        tracing::warn!(%reason, "a card does not say what memory it has");
        (0, 0)
    });
    within(free_bytes, total_bytes, bytes_max)
}

fn within(free_bytes: u64, total_bytes: u64, bytes_max: u64) -> Device {
    Device {
        total_bytes: total_bytes.saturating_sub(HEADROOM_BYTES).min(bytes_max),
        free_bytes: free_bytes.saturating_sub(HEADROOM_BYTES),
        ..Device::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_keeps_a_headroom_and_models_what_they_may_take() {
        let of = |free: u64, total: u64, max| {
            let device = within(free << 20, total << 20, max);
            (device.free_bytes >> 20, device.total_bytes >> 20)
        };
        assert_eq!(of(10_000, 16_000, u64::MAX), (9_488, 15_488));
        assert_eq!(of(10_000, 16_000, 4_000 << 20), (9_488, 4_000));
        assert_eq!(of(100, 400, u64::MAX), (0, 0));
    }

    /// Where there is a card the whole of it is looked at in `cuda_check`.
    #[test]
    fn a_card_that_is_not_there_is_an_error_only_where_there_must_be_one() {
        assert!(Card::Never.probe().is_ok_and(|memory| memory.is_none()));
        if let Err(refused) = Card::Always(63).probe() {
            assert!(matches!(refused, ModelError::Compute { .. }), "{refused}");
            assert!(Card::IfFits(63).probe().is_ok_and(|memory| memory.is_none()));
        }
    }
}
