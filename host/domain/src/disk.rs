//! The port of the disk.

use std::fmt;
use std::io;

/// The disk on which data lies.
pub trait DiskSpace: Send + Sync + fmt::Debug {
    /// Bytes that can be written still. Blocks.
    ///
    /// # Errors
    /// The system does not say.
    fn free_bytes(&self) -> io::Result<u64>;
}
