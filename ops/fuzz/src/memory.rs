//! How much memory something holds.

/// What `work` gives, and the most bytes that it held at once in this thread.
pub(crate) fn measured<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let mut given = None;
    let counted = allocation_counter::measure(|| given = Some(work()));
    (given.expect("it has run"), counted.bytes_max)
}
