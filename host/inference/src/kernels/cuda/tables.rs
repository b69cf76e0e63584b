//! Short lists of numbers on the card: ids, positions, page pointers. Every block of a model asks for the same ones in a
//! pass, so the latest are kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::CudaSlice;

use super::device::Device;
use crate::error::ModelError;

/// Lists of one pass: ids, positions, places to store, pieces of attention, rows to score.
const KEPT_MAX: usize = 8;

type Kept = (Vec<u64>, Arc<CudaSlice<u64>>);

/// The latest lists.
#[derive(Debug, Default)]
pub struct Tables {
    kept: Mutex<VecDeque<Kept>>,
}

impl Tables {
    /// A list on the card. What it holds is compared, so a list that came to mean something else is never taken.
    pub fn get(&self, device: &Device, values: Vec<u64>) -> Result<Arc<CudaSlice<u64>>, ModelError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, list)) = kept.iter().find(|(known, _)| *known == values) {
            return Ok(Arc::clone(list));
        }
        let list = Arc::new(device.upload(&values)?);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back((values, Arc::clone(&list)));
        Ok(list)
    }
}
