//! Kernels that say how long they took, by name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Kernels, PageShape, Span, Stored};
use crate::error::ModelError;
use crate::gguf::Encoding;
use crate::llama::Precision;

/// The operations that are timed.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Read,
    Embed,
    Linear,
    Norm,
    Rope,
    Store,
    Attend,
    Softmax,
    Activation,
    Add,
    TakeRows,
}

/// Their names, in that order.
const NAMES: [&str; 11] = [
    "read",
    "embed",
    "linear",
    "norm",
    "rope",
    "store",
    "attend",
    "softmax",
    "activation",
    "add",
    "take_rows",
];

/// Time that kernels took since this was made.
#[derive(Debug, Default)]
pub struct KernelTimes([AtomicU64; NAMES.len()]);

impl KernelTimes {
    /// The time of each, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        let times = self.0.iter().map(|nanos| Duration::from_nanos(nanos.load(Ordering::Relaxed)));
        NAMES.into_iter().zip(times)
    }
}

/// Kernels that count their time. A card's are done when they are queued, and `read` waits for them: there the time is `read`'s.
#[derive(Debug)]
pub struct Timed<K> {
    kernels: K,
    times: Arc<KernelTimes>,
}

impl<K> Timed<K> {
    /// The same kernels, whose time is counted.
    pub fn new(kernels: K, times: Arc<KernelTimes>) -> Self {
        Self { kernels, times }
    }

    fn time<T>(&self, operation: Operation, run: impl FnOnce(&K) -> T) -> T {
        let started = Instant::now();
        let done = run(&self.kernels);
        let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.times.0[operation as usize].fetch_add(nanos, Ordering::Relaxed);
        done
    }
}

impl<K: Kernels> Kernels for Timed<K> {
    type Tensor = K::Tensor;
    type Matrix = K::Matrix;
    type Page = K::Page;

    fn tensor(&self, rows: usize, width: usize) -> Result<K::Tensor, ModelError> {
        self.kernels.tensor(rows, width)
    }

    fn upload(&self, width: usize, values: &[f32]) -> Result<K::Tensor, ModelError> {
        self.kernels.upload(width, values)
    }

    fn read(&self, tensor: &K::Tensor) -> Result<Vec<f32>, ModelError> {
        self.time(Operation::Read, |kernels| kernels.read(tensor))
    }

    fn matrix(&self, stored: Stored<'_>, precision: Precision) -> Result<K::Matrix, ModelError> {
        self.kernels.matrix(stored, precision)
    }

    fn matrix_bytes(encoding: Encoding, rows: usize, columns: usize, precision: Precision) -> u64 {
        K::matrix_bytes(encoding, rows, columns, precision)
    }

    fn page_bytes(shape: PageShape) -> u64 {
        K::page_bytes(shape)
    }

    fn page(&self, shape: PageShape) -> Result<K::Page, ModelError> {
        self.kernels.page(shape)
    }

    fn embed(&self, table: &K::Matrix, ids: &[u32], out: &mut K::Tensor) {
        self.time(Operation::Embed, |kernels| kernels.embed(table, ids, out));
    }

    fn linear(&self, x: &K::Tensor, products: &mut [(&K::Matrix, &mut K::Tensor)]) {
        self.time(Operation::Linear, |kernels| kernels.linear(x, products));
    }

    fn rms_norm(&self, x: &K::Tensor, weight: &K::Tensor, epsilon: f32, out: &mut K::Tensor) {
        self.time(Operation::Norm, |kernels| kernels.rms_norm(x, weight, epsilon, out));
    }

    fn layer_norm(
        &self,
        x: &K::Tensor,
        weight: &K::Tensor,
        bias: &K::Tensor,
        epsilon: f32,
        out: &mut K::Tensor,
    ) {
        self.time(Operation::Norm, |kernels| kernels.layer_norm(x, weight, bias, epsilon, out));
    }

    fn rope(&self, x: &mut K::Tensor, cos: &K::Tensor, sin: &K::Tensor, positions: &[u32]) {
        self.time(Operation::Rope, |kernels| kernels.rope(x, cos, sin, positions));
    }

    fn store(&self, keys: &K::Tensor, values: &K::Tensor, block: usize, spans: &mut [Span<'_, K::Page>]) {
        self.time(Operation::Store, |kernels| kernels.store(keys, values, block, spans));
    }

    fn attend(&self, queries: &K::Tensor, block: usize, spans: &[Span<'_, K::Page>], out: &mut K::Tensor) {
        self.time(Operation::Attend, |kernels| kernels.attend(queries, block, spans, out));
    }

    fn attend_all(
        &self,
        queries: &K::Tensor,
        keys: &K::Tensor,
        values: &K::Tensor,
        heads: usize,
        lengths: &[usize],
        out: &mut K::Tensor,
    ) {
        let attend = |kernels: &K| kernels.attend_all(queries, keys, values, heads, lengths, out);
        self.time(Operation::Attend, attend);
    }

    fn softmax(&self, x: &mut K::Tensor) {
        self.time(Operation::Softmax, |kernels| kernels.softmax(x));
    }

    fn swiglu(&self, gate: &mut K::Tensor, up: &K::Tensor) {
        self.time(Operation::Activation, |kernels| kernels.swiglu(gate, up));
    }

    fn gelu(&self, x: &mut K::Tensor) {
        self.time(Operation::Activation, |kernels| kernels.gelu(x));
    }

    fn add(&self, x: &mut K::Tensor, y: &K::Tensor) {
        self.time(Operation::Add, |kernels| kernels.add(x, y));
    }

    fn add_bias(&self, x: &mut K::Tensor, bias: &K::Tensor) {
        self.time(Operation::Add, |kernels| kernels.add_bias(x, bias));
    }

    fn take_rows(&self, x: &K::Tensor, rows: &[usize], out: &mut K::Tensor) {
        self.time(Operation::TakeRows, |kernels| kernels.take_rows(x, rows, out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::Cpu;

    #[test]
    fn the_time_of_each_kernel_is_counted_under_its_own_name() {
        let times = Arc::new(KernelTimes::default());
        let kernels = Timed::new(Cpu::new(Some(1)).expect("a thread"), times.clone());
        let mut x = kernels.upload(64, &vec![1.0; 64 * 64]).expect("there is room");
        kernels.gelu(&mut x);
        let took: Vec<_> = times.all().filter(|(_, time)| !time.is_zero()).map(|(name, _)| name).collect();
        assert_eq!(took, ["activation"]);
        kernels.softmax(&mut x);
        kernels.read(&x).expect("it is there");
        let took: Vec<_> = times.all().filter(|(_, time)| !time.is_zero()).map(|(name, _)| name).collect();
        assert_eq!(took, ["read", "softmax", "activation"]);
    }
}
