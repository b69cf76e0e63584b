use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::schema::Table;

fn row(layer: &Layer, key: &[u8]) -> Option<u64> {
    let value = layer.get(Table::Users, key)??;
    Some(u64::from_be_bytes(value.as_ref().try_into().expect("eight bytes")))
}

fn left(key: &[u8], value: u64) -> Left {
    let mut left = Left::default();
    left.rows.set(Table::Users, key, Some(value.to_be_bytes()[..].into()));
    left
}

/// Where the tests' commits go.
struct To<A, F> {
    apply: A,
    flush: F,
}

impl<A, F> Commit for To<A, F>
where
    A: Fn(&Batch) -> Result<(), StoreError>,
    F: Fn() -> Result<(), StoreError>,
{
    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        (self.apply)(batch)
    }
    fn flush(&self) -> Result<(), StoreError> {
        (self.flush)()
    }
}

fn waiting(commits: &Commits) -> usize {
    commits.open().group.waiting.load(Ordering::SeqCst)
}

#[test]
fn each_body_sees_what_those_before_it_left_and_returns_when_it_is_on_disk() {
    let (commits, trees, disk) = (Commits::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let apply = |batch: &Batch| {
        std::thread::yield_now();
        if let Some(value) = row(&batch.rows, b"n") {
            assert!(trees.swap(value, Ordering::SeqCst) < value, "commits come in their order");
        }
        Ok(())
    };
    let flush = || {
        let seen = trees.load(Ordering::SeqCst);
        std::thread::yield_now();
        disk.fetch_max(seen, Ordering::SeqCst);
        Ok(())
    };
    let to = To { apply, flush };
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (commits, trees, disk, to) = (&commits, &trees, &disk, &to);
            scope.spawn(move || {
                for _ in 0..500 {
                    let add = |seen: &Seen<'_>| {
                        let above = seen.above.iter().rev().find_map(|layer| row(layer, b"n"));
                        let next = above.unwrap_or_else(|| trees.load(Ordering::SeqCst)) + 1;
                        Ok::<_, ()>((next, left(b"n", next)))
                    };
                    let is_durable = thread % 2 == 0;
                    let mine = commits
                        .make(Wish { is_durable, ..Wish::default() }, add, to)
                        .expect("committed")
                        .expect("it does not fail");
                    assert!(trees.load(Ordering::SeqCst) >= mine);
                    assert!(!is_durable || disk.load(Ordering::SeqCst) >= mine);
                }
            });
        }
    });
    assert_eq!(trees.into_inner(), 4_000, "none is lost or counted twice");
}

#[test]
fn those_who_wait_together_share_a_commit_and_one_that_fails_leaves_nothing_in_it() {
    let (commits, began, flushes) = (Commits::new(7), Barrier::new(2), AtomicUsize::new(0));
    let batches = Mutex::new(Vec::new());
    let apply = |batch: &Batch| {
        if batch.commit == 8 {
            began.wait();
            // It ends only when five others wait.
            while waiting(&commits) < 5 {
                std::thread::yield_now();
            }
        }
        let rows = (0..6u64).filter_map(|index| row(&batch.rows, &index.to_be_bytes())).collect::<Vec<_>>();
        batches.lock().expect("no panic").push((batch.commit, rows));
        Ok(())
    };
    let flush = || {
        flushes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    let to = To { apply, flush };
    let write = |index: u64, is_durable| {
        let body = |_: &Seen<'_>| {
            let left = left(&index.to_be_bytes(), index);
            if index == 3 { Err("its own matter") } else { Ok((index, left)) }
        };
        commits.make(Wish { is_durable, ..Wish::default() }, body, &to).expect("committed")
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| write(5, false));
        began.wait();
        let write = &write;
        // One of them wants to be on disk.
        let others: Vec<_> = (0..5).map(|index| scope.spawn(move || write(index, index == 1))).collect();
        let told: Vec<_> = others.into_iter().map(|other| other.join().expect("no panic")).collect();
        assert_eq!(told, [Ok(0), Ok(1), Ok(2), Err("its own matter"), Ok(4)]);
        assert_eq!(first.join().expect("no panic"), Ok(5));
    });
    assert_eq!(*batches.lock().expect("no panic"), [(8, vec![5]), (9, vec![0, 1, 2, 4])]);
    assert_eq!(flushes.load(Ordering::SeqCst), 1);
}

#[test]
fn after_a_commit_that_failed_nothing_is_acknowledged() {
    let (commits, began) = (Commits::new(0), Barrier::new(2));
    let apply = |batch: &Batch| {
        assert_eq!(batch.commit, 1, "nothing is committed any more");
        began.wait();
        while waiting(&commits) < 1 {
            std::thread::yield_now();
        }
        Err(StoreError::Full("no space".to_owned()))
    };
    let to = To { apply, flush: || panic!("nothing is flushed any more") };
    let write = || {
        commits.make(Wish { is_durable: true, ..Wish::default() }, |_| Ok::<_, ()>(((), left(b"n", 1))), &to)
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(write);
        began.wait();
        // Its body has seen what was never committed.
        assert!(matches!(write(), Err(StoreError::Full(_))));
        assert!(matches!(first.join().expect("no panic"), Err(StoreError::Full(_))));
    });
    let later = commits.make(Wish::default(), |_| -> Result<((), Left), ()> { panic!("no body runs") }, &to);
    assert!(matches!(later, Err(StoreError::Full(_))), "the reason stands");
    assert!(matches!(commits.flush(&to), Err(StoreError::Full(_))));
}

#[test]
fn after_a_flush_that_failed_nothing_is_acknowledged() {
    let commits = Commits::new(0);
    let to = To { apply: |_: &Batch| Ok(()), flush: || Err(StoreError::Unavailable("no disk".to_owned())) };
    let write = |is_durable| {
        commits.make(Wish { is_durable, ..Wish::default() }, |_| Ok::<_, ()>(((), left(b"n", 1))), &to)
    };
    assert!(write(false).is_ok(), "it wants no flush");
    assert!(write(true).is_err());
    assert!(write(false).is_err(), "what reached the disk is unknown");
}

#[test]
fn a_commit_gives_way_as_long_as_all_who_write_in_it_do() {
    let (soon, later) = (Instant::now(), Instant::now() + Duration::from_secs(9));
    let of = |wishes: [Option<Instant>; 2]| {
        let (commits, began, told) = (Commits::new(0), Barrier::new(2), Mutex::new(None));
        let apply = |batch: &Batch| {
            if batch.commit == 1 {
                began.wait();
                while waiting(&commits) < wishes.len() {
                    std::thread::yield_now();
                }
            }
            *told.lock().expect("no panic") = Some(batch.gives_way);
            Ok(())
        };
        let to = To { apply, flush: || Ok(()) };
        let write = |gives_way, key: &[u8]| {
            let wish = Wish { is_durable: false, gives_way };
            commits.make(wish, |_| Ok::<_, ()>(((), left(key, 1))), &to).map(drop)
        };
        std::thread::scope(|scope| {
            scope.spawn(|| write(None, b"first").expect("committed"));
            began.wait();
            for wish in wishes {
                let write = &write;
                scope.spawn(move || write(wish, b"other").expect("committed"));
            }
        });
        told.into_inner().expect("no panic").expect("committed")
    };
    assert_eq!(of([Some(soon), Some(later)]), Some(soon));
    assert_eq!(of([Some(later), Some(soon)]), Some(soon));
    assert_eq!(of([Some(later), None]), None);
    assert_eq!(of([None, Some(later)]), None);
}
