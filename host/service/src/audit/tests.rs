use std::sync::atomic::{AtomicBool, Ordering};

use atelier_domain::egress::EgressDenial;
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
    assert!(audit.write_gathered(true).await.is_err());
    audit.refused(AuditKind::KeyRefused, noted("a"), 401, "invalid_api_key");
    book.is_full.store(false, Ordering::Relaxed);
    audit.write_gathered(true).await.expect("written");
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

const HOUR_MS: u64 = 3_600_000;

fn denied<'a>(instance: &'a str, host: &str) -> DeniedEgress<'a> {
    let (plugin, denial, host) = ("dev/hostile", EgressDenial::SpecialAddress, host.to_owned());
    DeniedEgress { instance, plugin, host, denial, request_id: "r" }
}

fn counts(taken: &[(egress::Same, AuditRecord)]) -> Vec<(&str, &str, u64)> {
    let mut counts: Vec<_> = taken
        .iter()
        .map(|(_, record)| {
            assert_eq!((record.kind, record.status), (AuditKind::EgressRefused, None));
            assert_eq!(record.code.as_deref(), Some("special_address"));
            (record.instance.as_deref().unwrap_or(""), record.target.as_deref().unwrap_or(""), record.count)
        })
        .collect();
    counts.sort_unstable();
    counts
}

#[test]
fn what_a_plugin_may_not_reach_is_written_soon_and_then_once_an_hour_with_its_number() {
    let denials = Denials::new(EgressLimits::default());
    let note = |times: usize, at_ms: u64| {
        (0..times).for_each(|_| denials.note(&denied("a", "10.0.0.1"), Timestamp(at_ms), at_ms));
    };
    note(3, 0);
    assert_eq!(counts(&denials.take(5_000, false)), [("a", "10.0.0.1", 3)]);
    note(1_000, 6_000);
    assert!(denials.take(10_000, false).is_empty(), "it is known");
    note(1_000, HOUR_MS);
    assert!(denials.take(HOUR_MS + 4_999, false).is_empty());
    let taken = denials.take(HOUR_MS + 5_000, false);
    assert_eq!(counts(&taken), [("a", "10.0.0.1", 2_000)]);
    assert_eq!(taken[0].1.time, Timestamp(6_000), "of the first of them");
    note(7, HOUR_MS + 6_000);
    assert_eq!(counts(&denials.take(HOUR_MS + 7_000, true)), [("a", "10.0.0.1", 7)], "to whoever reads");
    assert!(denials.take(3 * HOUR_MS, false).is_empty());
    note(1, 3 * HOUR_MS);
    assert_eq!(counts(&denials.take(3 * HOUR_MS, false)), [("a", "10.0.0.1", 1)], "news after a quiet hour");
}

#[test]
fn a_plugin_that_asks_for_ever_other_hosts_fills_neither_memory_nor_disk() {
    let denials = Denials::new(EgressLimits { hosts_max: 2, gathered_max: 8, ..EgressLimits::default() });
    for host in 0..10_000 {
        denials.note(&denied("a", &format!("host-{host}")), Timestamp(0), 0);
    }
    denials.note(&denied("b", "host-0"), Timestamp(0), 0);
    let all = [("a", OTHERS, 9_998), ("a", "host-0", 1), ("a", "host-1", 1), ("b", "host-0", 1)];
    assert_eq!(counts(&denials.take(0, false)), all);
    for second in 1..3_600 {
        for host in 0..10 {
            denials.note(&denied("a", &format!("other-{second}-{host}")), Timestamp(0), second * 1_000);
        }
        assert!(denials.take(second * 1_000, false).is_empty(), "at {second}");
    }
    assert_eq!(counts(&denials.take(HOUR_MS, false)), [("a", OTHERS, 35_990)]);
    for instance in 0..100 {
        denials.note(&denied(&format!("instance-{instance}"), "host"), Timestamp(0), HOUR_MS);
    }
    let taken = denials.take(HOUR_MS, true);
    assert!(taken.len() <= 9, "{}", taken.len());
    assert_eq!(taken.iter().map(|(_, record)| record.count).sum::<u64>(), 100, "none is lost");
}

#[tokio::test]
async fn what_was_denied_is_not_lost_to_a_full_disk_nor_to_the_end() {
    let (book, audit) = audit(AuditLimits::default());
    audit.egress_denied(&denied("a", "10.0.0.1"));
    audit.egress_denied(&denied("a", "10.0.0.1"));
    book.is_full.store(true, Ordering::Relaxed);
    assert!(audit.write_gathered(false).await.is_err());
    audit.egress_denied(&denied("a", "10.0.0.1"));
    book.is_full.store(false, Ordering::Relaxed);
    audit.write_gathered(false).await.expect("written");
    audit.egress_denied(&denied("a", "10.0.0.1"));
    audit.write_gathered(false).await.expect("nothing is due");
    let (stop, stopped) = watch::channel(false);
    stop.send_replace(true);
    audit.run(stopped).await;
    let written = book.written.lock().expect("no panic");
    assert_eq!(written.iter().map(|record| record.count).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(written[0].plugin.as_deref(), Some("dev/hostile"));
}
