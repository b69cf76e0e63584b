//! Room on the disk. What callers bring is refused while little is left, so that what is under way can be written to its end.

use std::sync::Arc;

use atelier_domain::disk::DiskSpace;

use crate::ServiceError;

/// Watches over the room that is left.
#[derive(Clone, Debug)]
pub struct Room {
    disk: Arc<dyn DiskSpace>,
    min_free_bytes: u64,
}

impl Room {
    /// Less than so many free bytes are little; with 0 it is never looked.
    pub fn new(disk: Arc<dyn DiskSpace>, min_free_bytes: u64) -> Self {
        Self { disk, min_free_bytes }
    }

    /// Less than so many free bytes are little.
    pub fn min_free_bytes(&self) -> u64 {
        self.min_free_bytes
    }

    /// How many bytes are free, where they are too few. Blocks for a moment.
    ///
    /// # Errors
    /// The system does not say.
    pub fn shortage(&self) -> Result<Option<u64>, ServiceError> {
        if self.min_free_bytes == 0 {
            return Ok(None);
        }
        Ok(Some(self.disk.free_bytes()?).filter(|free| *free < self.min_free_bytes))
    }

    /// Whether there is room for more. Blocks for a moment.
    ///
    /// # Errors
    /// [`ServiceError::DiskLow`], or the system does not say.
    pub fn check(&self) -> Result<(), ServiceError> {
        let Some(free) = self.shortage()? else { return Ok(()) };
        tracing::warn!(
            free,
            wanted = self.min_free_bytes,
            "the disk is almost full: uploads and new jobs are refused"
        );
        Err(ServiceError::DiskLow)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Left(Option<u64>);

    impl DiskSpace for Left {
        fn free_bytes(&self) -> io::Result<u64> {
            self.0.ok_or_else(|| io::Error::other("no disk"))
        }
    }

    #[test]
    fn there_is_room_down_to_the_mark() {
        let check = |left, min| Room::new(Arc::new(Left(left)), min).check();
        assert!(check(Some(10), 10).is_ok());
        assert!(matches!(check(Some(9), 10), Err(ServiceError::DiskLow)));
        assert!(matches!(check(None, 10), Err(ServiceError::Blobs(_))), "what is not known is not assumed");
        assert!(check(None, 0).is_ok(), "nobody wants to know");
    }
}
