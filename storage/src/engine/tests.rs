use std::sync::atomic::AtomicBool;

use super::state::Sums;
use super::walk::{Change, Walker};
use super::*;
use crate::mark::Reached;

fn opened(folder: &Path) -> Result<Engine, StoreError> {
    let database = folder.join("db");
    Engine::open(&database, |_| Mark::open(folder, Reached::default()).map_err(unavailable))
}

fn put(engine: &Engine, table: Table, key: u32, value: &[u8]) {
    engine.write(|txn| txn.put(table, &key.to_be_bytes(), value)).expect("written");
}

/// Keeps all that it is given, as a backup does.
#[derive(Default)]
struct Keeper {
    rows: std::collections::BTreeMap<(u8, Vec<u8>), Vec<u8>>,
    batches: usize,
    changes: usize,
    end: Option<State>,
}

impl Walker for Keeper {
    fn wants_rows(&self) -> bool {
        true
    }
    fn take(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.batches += 1;
        for Change { table, key, value } in changes {
            self.changes += 1;
            let place = (*table as u8, key.clone());
            match value {
                Some(value) => self.rows.insert(place, value.clone()),
                None => self.rows.remove(&place),
            };
        }
        Ok(())
    }
    fn goes_on(&mut self, _: Duration) -> bool {
        // Whoever writes has its turn.
        std::thread::sleep(Duration::from_millis(1));
        true
    }
    fn at_end(&mut self, state: &State) -> Result<(), StoreError> {
        self.end = Some(*state);
        Ok(())
    }
}

#[test]
fn rows_read_while_others_write_are_those_of_one_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = opened(folder.path()).expect("opened");
    for key in 0..2_000 {
        put(&engine, Table::Jobs, key, &[7; 100]);
    }
    put(&engine, Table::Events, 1, &[1; 20_000]);
    let stop = AtomicBool::new(false);
    let mut keeper = Keeper::default();
    std::thread::scope(|scope| {
        for writer in 0..2u32 {
            let (engine, stop) = (&engine, &stop);
            scope.spawn(move || {
                for round in 0u32.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = round.wrapping_mul(2_654_435_761).wrapping_add(writer) % 3_000;
                    engine
                        .write(|txn| {
                            txn.put(Table::Users, &key.to_be_bytes(), &round.to_be_bytes())?;
                            txn.remove(Table::Jobs, &key.to_be_bytes())?;
                            txn.put(Table::Jobs, &(key / 2).to_be_bytes(), &round.to_be_bytes())?;
                            let large = vec![3; 5_000 + key as usize];
                            txn.put(Table::Links, &(key % 50).to_be_bytes(), &large)
                        })
                        .expect("written");
                }
            });
        }
        let end = engine.walk_through(&mut keeper);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(end.expect("whole"), keeper.end);
    });
    let mut sums = Sums::default();
    for ((table, key), value) in &keeper.rows {
        let table = Table::ALL.into_iter().find(|known| *known as u8 == *table).expect("known");
        sums.add(table, key, value);
    }
    let end = keeper.end.expect("it ended");
    assert_eq!(sums, end.sums, "what was kept is what was committed at the end");
    assert!(keeper.batches > 3 && keeper.changes as u64 > end.sums.rows(), "others wrote meanwhile");
    assert!(matches!(engine.check().0, Check::Whole { rows, .. } if rows == end.sums.rows()));
    engine.verify().expect("whole still");
}

#[test]
fn a_row_that_is_gone_or_another_is_found_named_and_refused_from_then_on() {
    for harm in [
        |tree: &sled::Tree| tree.remove(7u32.to_be_bytes()).map(|_| ()),
        |tree: &sled::Tree| tree.insert(7u32.to_be_bytes(), &b"\0another"[..]).map(|_| ()),
        |tree: &sled::Tree| tree.insert(b"a row more", &b"\0x"[..]).map(|_| ()),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = opened(folder.path()).expect("opened");
        (0..100).for_each(|key| put(&engine, Table::Files, key, b"row"));
        harm(engine.tree(Table::Files)).expect("changed behind its back");
        put(&engine, Table::Files, 8, b"later");
        assert_eq!(engine.check().0, Check::Pending);
        let error = engine.verify().expect_err("it differs").to_string();
        assert!(error.contains("files") && error.contains("restore"), "{error}");
        assert!(matches!(engine.check().0, Check::Damaged(_)));
        let later = engine.get(Table::Users, b"k").expect_err("nothing is served").to_string();
        assert_eq!(later, error);
        assert!(is_in_doubt(folder.path()), "the next opening knows");
    }
}

#[test]
fn damage_to_open_work_is_found_before_anything_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = opened(folder.path()).expect("opened");
    put(&engine, Table::Holds, 1, b"hold");
    engine.verify_open_work().expect("whole");
    engine.tree(Table::Holds).clear().expect("changed behind its back");
    engine.verify_open_work().expect_err("a hold is gone");
}
