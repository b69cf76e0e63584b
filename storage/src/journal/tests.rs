use std::fs;

use super::*;

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

#[test]
fn what_was_written_is_folded_once_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path(), None).expect("made");
    let all = records(1..700);
    all[..600].iter().for_each(|record| journal.append(record).expect("written"));
    let (first, place) = fold(&journal);
    assert_eq!(first, all[..600]);
    all[600..].iter().for_each(|record| journal.append(record).expect("written"));
    drop(journal);
    // As after a crash that lost the last folding, and as after one that did not.
    let again = Journal::open(folder.path(), None).expect("opened");
    assert_eq!(fold(&again).0, all);
    drop(again);
    let after = Journal::open(folder.path(), place).expect("opened");
    assert_eq!(fold(&after).0, all[600..]);
    assert!(fold(&after).0.is_empty());
}

#[test]
fn a_journal_is_cut_once_it_is_in_the_books_and_a_crash_in_between_repeats_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path(), None).expect("made");
    let large = vec![7; RECORD_BYTES_MAX];
    for _ in 0..=CUT_BYTES / RECORD_BYTES_MAX as u64 {
        journal.append(&large).expect("written");
    }
    let (all, before_cut) = fold(&journal);
    assert!(all.len() > 60);
    let path = folder.path().join(NAME);
    assert_eq!(fs::metadata(&path).expect("there").len(), HEAD_BYTES);
    journal.append(b"after").expect("written");
    drop(journal);
    // The database knows the place before the cut alone.
    let again = Journal::open(folder.path(), before_cut).expect("opened");
    let (rest, place) = fold(&again);
    assert_eq!(rest, [b"after".to_vec()]);
    drop(again);
    // A crash in the middle of a cut leaves a head that is short or empty.
    for torn in [&b""[..], b"ateli", &[0; 16]] {
        fs::write(&path, torn).expect("written");
        let begun = Journal::open(folder.path(), place).expect("opened");
        assert!(fold(&begun).0.is_empty());
        begun.append(b"new").expect("written");
        drop(begun);
        let again = Journal::open(folder.path(), place).expect("opened");
        assert_eq!(fold(&again).0, [b"new".to_vec()]);
    }
}

#[test]
fn a_torn_end_is_cut_off_and_any_other_damage_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path(), None).expect("made");
    let all = records(1..40);
    all.iter().for_each(|record| journal.append(record).expect("written"));
    drop(journal);
    let path = folder.path().join(NAME);
    let whole = fs::read(&path).expect("read");
    for cut in HEAD_BYTES as usize..whole.len() {
        fs::write(&path, &whole[..cut]).expect("cut");
        let found = fold(&Journal::open(folder.path(), None).expect("opened")).0;
        assert!(all.starts_with(&found) && found.len() < all.len(), "{cut}");
    }
    fs::write(&path, [&whole[..], &[0; 4096]].concat()).expect("zeroes behind it");
    assert_eq!(fold(&Journal::open(folder.path(), None).expect("opened")).0, all);
    for at in HEAD_BYTES as usize..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).expect("flipped");
        let refused = Journal::open(folder.path(), None);
        assert!(matches!(refused, Err(StoreError::Damaged(_))), "{at}: a flipped bit was read over");
    }
    fs::write(&path, b"somebody else's file").expect("written");
    assert!(matches!(Journal::open(folder.path(), None), Err(StoreError::Damaged(_))));
    fs::remove_file(&path).expect("removed");
    let place = Some(Place { generation: 0, offset: 50 });
    assert!(matches!(Journal::open(folder.path(), place), Err(StoreError::Damaged(_))), "it is gone");
}

#[test]
fn a_record_has_a_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::open(folder.path(), None).expect("made");
    journal.append(&vec![1; RECORD_BYTES_MAX + 1]).expect_err("too large");
    assert!(fold(&journal).0.is_empty());
}
