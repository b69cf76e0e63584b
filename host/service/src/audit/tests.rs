use std::sync::atomic::{AtomicBool, Ordering};

use atelier_domain::store::{StoreError, Swept};
use atelier_domain::time::SystemClock;

use super::*;
use crate::StoragePoolLimits;

/// A store that may refuse to write.
#[derive(Debug, Default)]
struct Book {
    written: Mutex<Vec<AuditRecord>>,
    is_full: AtomicBool,
}

impl AuditStore for Book {
    fn audit(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(StoreError::Full("no room".to_owned()));
        }
        self.written.lock().expect("no panic").extend_from_slice(records);
        Ok(())
    }
    fn audited(&self, _: &AuditPage, _: usize) -> Result<AuditRecords, StoreError> {
        Ok(AuditRecords::default())
    }
    fn sweep_audit(&self, _: Timestamp, _: &SweepPage) -> Result<Swept, StoreError> {
        Ok(Swept::default())
    }
}

fn audit(limits: AuditLimits) -> (Arc<Book>, Audit) {
    let book = Arc::new(Book::default());
    let pool = StoragePool::new(StoragePoolLimits::default());
    (book.clone(), Audit::new(book, pool, Arc::new(SystemClock::default()), limits))
}

fn noted(action: &str) -> Noted {
    Noted { actor: None, action: action.to_owned(), target: None, request_id: "r".to_owned() }
}

#[tokio::test]
async fn what_cannot_be_noted_is_not_begun() {
    let (book, audit) = audit(AuditLimits::default());
    book.is_full.store(true, Ordering::Relaxed);
    assert!(audit.begin(noted("POST /x")).await.is_err());
    book.is_full.store(false, Ordering::Relaxed);
    audit.begin(noted("POST /x")).await.expect("noted").end(204, None).await;
    let written = book.written.lock().expect("no panic");
    assert_eq!(written.iter().map(|record| record.status).collect::<Vec<_>>(), [None, Some(204)]);
}

#[tokio::test]
async fn refusals_are_gathered_in_bounds_and_none_is_lost_to_a_full_disk() {
    let (book, audit) = audit(AuditLimits { gathered_max: 2, ..AuditLimits::default() });
    for action in ["a", "b", "a", "c", "d", "c"] {
        audit.refused(AuditKind::KeyRefused, noted(action), 401, "invalid_api_key");
    }
    book.is_full.store(true, Ordering::Relaxed);
    assert!(audit.write_gathered().await.is_err());
    audit.refused(AuditKind::KeyRefused, noted("a"), 401, "invalid_api_key");
    book.is_full.store(false, Ordering::Relaxed);
    audit.write_gathered().await.expect("written");
    let written = book.written.lock().expect("no panic");
    let mut counts: Vec<_> = written.iter().map(|record| (record.action.as_str(), record.count)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [(OTHERS, 3), ("a", 3), ("b", 1)]);
}

#[tokio::test]
async fn what_was_gathered_is_written_when_the_server_stops() {
    let (book, audit) = audit(AuditLimits::default());
    audit.refused(AuditKind::ScopeRefused, noted("a"), 403, "insufficient_scope");
    let (stop, stopped) = watch::channel(false);
    stop.send_replace(true);
    audit.run(stopped).await;
    assert_eq!(book.written.lock().expect("no panic").len(), 1);
}
