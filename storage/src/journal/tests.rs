use std::fs;

use super::file::RECORD_BYTES_MAX;
use super::*;

mod crashes;

const SMALL: JournalLimits = JournalLimits { cut_bytes: 4 * 1024, bytes_max: 64 * 1024 };

fn open(folder: &Path, place: Option<Place>) -> Result<Journal, StoreError> {
    Journal::open(folder, place, SMALL)
}

/// Everything that is not in the books, and the place behind it.
fn fold(journal: &Journal) -> (Vec<Vec<u8>>, Option<Place>) {
    let (mut all, mut after) = (Vec::new(), None);
    let enter = |batch: &Batch| {
        all.extend(batch.records.iter().cloned());
        after = Some(batch.after);
        Ok(())
    };
    journal.fold(enter, || Ok(())).expect("folded");
    (all, after)
}

fn records(range: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    range.map(|n| n.to_be_bytes().repeat(1 + n as usize % 50)).collect()
}

fn bytes_of(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).expect("listed");
    files.map(|file| file.expect("listed").metadata().expect("there").len()).sum()
}

#[test]
fn what_was_written_is_folded_once_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |place| Journal::open(folder.path(), place, JournalLimits::default()).expect("opened");
    let journal = open(None);
    let all = records(1..700);
    all[..600].iter().for_each(|record| journal.append(record).expect("written"));
    let (first, place) = fold(&journal);
    assert_eq!(first, all[..600]);
    all[600..].iter().for_each(|record| journal.append(record).expect("written"));
    drop(journal);
    // As after a crash that lost the last folding, and as after one that did not.
    let again = open(None);
    assert_eq!(fold(&again).0, all);
    drop(again);
    let after = open(place);
    assert_eq!(fold(&after).0, all[600..]);
    assert!(fold(&after).0.is_empty());
}

#[test]
fn however_many_records_come_while_it_is_folded_the_files_stay_small() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = open(folder.path(), None).expect("made");
    let (mut written, mut found) = (0u32, Vec::new());
    for _ in 0..200 {
        let enter = |batch: &Batch| {
            found.extend(batch.records.iter().cloned());
            // There is never a moment at which nothing is under way.
            for _ in 0..4 {
                journal.append(&written.to_be_bytes().repeat(32)).expect("written");
                written += 1;
            }
            Ok(())
        };
        journal.append(b"one").expect("written");
        journal.fold(enter, || Ok(())).expect("folded");
        assert!(bytes_of(folder.path()) < 3 * SMALL.cut_bytes);
    }
    assert!(u64::from(written) * 128 > 20 * SMALL.cut_bytes, "{written}");
    found.extend(fold(&journal).0);
    found.retain(|record| record != b"one");
    let numbers = found.iter().map(|record| u32::from_be_bytes(*record.first_chunk().expect("a number")));
    assert!(numbers.eq(0..written), "each once, in order");
}

#[test]
fn a_journal_of_which_nothing_enters_the_books_has_a_bound_and_goes_on_once_something_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = open(folder.path(), None).expect("made");
    let (mut written, mut told) = (0, None);
    while told.is_none() {
        match journal.append(&[7; 1000]) {
            Ok(()) => written += 1,
            Err(error) => told = Some(error),
        }
        let refused = journal.fold(|_| Err(StoreError::Unavailable("full".to_owned())), || Ok(()));
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert!(matches!(&told, Some(StoreError::Unavailable(why)) if why.contains("65536")), "{told:?}");
    assert!(bytes_of(folder.path()) <= 2 * SMALL.bytes_max);
    assert_eq!(fold(&journal).0.len(), written);
    fold(&journal);
    journal.probe().expect("there is room again");
    assert!(bytes_of(folder.path()) < SMALL.cut_bytes);
}

#[test]
fn a_file_that_failed_gets_a_successor_and_what_was_in_it_is_not_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = open(folder.path(), None).expect("made");
    journal.append(b"before").expect("written");
    lock(&journal.writer).failed = Some(StoreError::Unavailable("the disk said no".to_owned()));
    for refused in [journal.append(b"refused"), journal.probe()] {
        assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why == "the disk said no"));
    }
    let (found, place) = fold(&journal);
    assert_eq!(found, [b"before".to_vec()]);
    journal.probe().expect("it works again");
    journal.append(b"after").expect("written");
    drop(journal);
    let again = open(folder.path(), place).expect("opened");
    assert_eq!(fold(&again).0, [b"after".to_vec()], "a probe is no record");
}

#[test]
fn a_torn_end_is_cut_off_and_any_other_damage_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |place| Journal::open(folder.path(), place, JournalLimits::default());
    let journal = open(None).expect("made");
    let all = records(1..40);
    all.iter().for_each(|record| journal.append(record).expect("written"));
    drop(journal);
    let path = file::path(folder.path(), 0);
    let whole = fs::read(&path).expect("read");
    for cut in HEAD_BYTES as usize..whole.len() {
        fs::write(&path, &whole[..cut]).expect("cut");
        let found = fold(&open(None).expect("opened")).0;
        assert!(all.starts_with(&found) && found.len() < all.len(), "{cut}");
    }
    fs::write(&path, [&whole[..], &[0; 4096]].concat()).expect("zeroes behind it");
    assert_eq!(fold(&open(None).expect("opened")).0, all);
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).expect("flipped");
        let refused = open(None);
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{at}: a flipped bit was read over");
    }
    for bad in [&b"somebody else's file"[..], b"", b"ateli"] {
        fs::write(&path, bad).expect("written");
        assert!(matches!(open(None), Err(StoreError::Damaged(_))), "{bad:?}");
    }
    fs::remove_file(&path).expect("removed");
    let place = Some(Place { generation: 0, offset: 50 });
    assert!(matches!(open(place), Err(StoreError::Damaged(_))), "it is gone");
    file::create(folder.path(), 2).expect("made");
    for place in [None, place, Some(Place { generation: 1, offset: 16 })] {
        let refused = open(place);
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{place:?}: one before it is gone");
    }
}

#[test]
fn a_record_has_a_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = open(folder.path(), None).expect("made");
    journal.append(&vec![1; RECORD_BYTES_MAX + 1]).expect_err("too large");
    assert!(fold(&journal).0.is_empty());
}
