//! The machine stops at each moment of a change of files, and another process opens what it left.

use std::cell::{Cell, RefCell};

use super::*;

/// What was on disk at one moment: the files, and what the database knew.
struct Moment {
    what: &'static str,
    files: Vec<(String, Vec<u8>)>,
    place: Option<Place>,
    /// How many records were in the books by that, and how many were written.
    entered: usize,
    written: usize,
}

fn files_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for file in fs::read_dir(folder).expect("listed") {
        let file = file.expect("listed");
        let name = file.file_name().into_string().expect("text");
        files.push((name, fs::read(file.path()).expect("read")));
    }
    files.sort();
    files
}

fn restored(files: &[(String, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        fs::write(folder.path().join(name), content).expect("written");
    }
    folder
}

/// Opens what was left, folds it, and goes on with it: through a change of files, and another opening.
fn goes_on(files: &[(String, Vec<u8>)], place: Option<Place>, what: &str) -> Vec<Vec<u8>> {
    let folder = restored(files);
    let journal = open(folder.path(), place).unwrap_or_else(|error| panic!("{what}: {error}"));
    let (found, after) = fold(&journal);
    let place = after.or(place);
    let more = records(1_000..1_080);
    more.iter().for_each(|record| journal.append(record).expect("written"));
    drop(journal);
    let journal = open(folder.path(), place).unwrap_or_else(|error| panic!("{what}, and again: {error}"));
    let (first, after) = fold(&journal);
    journal.append(b"last").expect("written");
    let (last, _) = fold(&journal);
    assert_eq!([first, last].concat(), [&more[..], &[b"last".to_vec()]].concat(), "{what}");
    drop(journal);
    let journal = open(folder.path(), after).unwrap_or_else(|error| panic!("{what}, at last: {error}"));
    assert_eq!(fold(&journal).0, [b"last".to_vec()], "{what}");
    found
}

/// Every moment of a change of files, as a killed process leaves them. Records come all the while.
fn moments(all: &[Vec<u8>]) -> Vec<Moment> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let journal = open(path, None).expect("made");
    let (moments, known, written) = (RefCell::new(Vec::new()), Cell::new((None, 0)), Cell::new(0));
    let write = |count: usize| {
        all[written.get()..].iter().take(count).for_each(|record| journal.append(record).expect("written"));
        written.set(written.get() + count);
    };
    let note = |what| {
        let ((place, entered), written) = (known.get(), written.get());
        moments.borrow_mut().push(Moment { what, files: files_of(path), place, entered, written });
    };
    write(60);
    note("before");
    let enter = |batch: &Batch| {
        write(10);
        note("before a batch");
        known.set((Some(batch.after), known.get().1 + batch.records.len()));
        note("after a batch");
        Ok(())
    };
    let flush = || {
        note("the books are on disk");
        Ok(())
    };
    journal.fold(enter, flush).expect("folded");
    note("after");
    let mut moments = moments.into_inner();
    assert!(moments.len() > 6 && moments.iter().any(|moment| moment.files.len() == 2));
    // While the successor is made there is its beginning, under another name.
    for begun in [&b""[..], b"ateli", b"atelierj\0\0\0\0\0\0\0\x01"] {
        let mut files = moments[0].files.clone();
        files.push(("journal.1.new".to_owned(), begun.to_vec()));
        moments.push(Moment { what: "a successor is begun", files, place: None, entered: 0, written: 60 });
    }
    moments
}

#[test]
fn a_process_killed_at_any_moment_of_a_change_of_files_repeats_and_loses_nothing() {
    let all = records(1..120);
    for moment in moments(&all) {
        let found = goes_on(&moment.files, moment.place, moment.what);
        assert_eq!(found, all[moment.entered..moment.written], "{}", moment.what);
    }
}

#[test]
fn after_a_power_cut_at_any_moment_whatever_reached_the_disk_opens_and_repeats_nothing() {
    let all = records(1..120);
    for moment in moments(&all) {
        // What was added last to a file may have reached the disk in any part, although the database has it.
        for cut in 0..moment.files.len() {
            let (name, content) = &moment.files[cut];
            if name.ends_with(".new") {
                continue;
            }
            for kept in (HEAD_BYTES as usize..content.len()).step_by(397) {
                let mut files = moment.files.clone();
                files[cut].1.truncate(kept);
                let what = format!("{}, with {kept} bytes of {name}", moment.what);
                let found = goes_on(&files, moment.place, &what);
                let mut expected = all[moment.entered..moment.written].iter();
                assert!(found.iter().all(|record| expected.any(|next| next == record)), "{what}: repeated");
            }
        }
    }
}

#[test]
fn a_database_that_is_older_than_a_change_of_files_finds_all_that_it_lacks() {
    let all = records(1..120);
    let moments = moments(&all);
    // Until the old file is removed, whatever the database knew before may be what it knows.
    for moment in moments.iter().filter(|moment| moment.files.iter().any(|(name, _)| name == "journal.0")) {
        for known in moments.iter().filter(|known| known.entered <= moment.entered) {
            let found = goes_on(&moment.files, known.place, moment.what);
            assert_eq!(found, all[known.entered..moment.written], "{}: {:?}", moment.what, known.place);
        }
    }
}
