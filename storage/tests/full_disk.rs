//! A disk without room: a small file system of its own and, everywhere, a process that may write no more than so much to a file.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use atelier_domain::blob::BlobStore as _;
use atelier_domain::disk::DiskSpace as _;
use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::Job;
use atelier_domain::store::{JobStore as _, StoreError};
use atelier_storage::contract::sample;
use atelier_storage::{Blobs, Disk, Store};

const FOLDER: &str = "ATELIER_STORAGE_TEST_FULL_FOLDER";
const IN_NAMESPACE: &str = "ATELIER_STORAGE_TEST_IN_NAMESPACE";
const OWNER: [u8; 16] = [3; 16];
const MIB: u64 = 1 << 20;

/// A file system of 96 MiB, gone with the test.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes until no more than `left` bytes are free. 0: until nothing more can be written.
    fn fill(&self, left: u64) -> PathBuf {
        let path = self.path().join(format!("ballast-{left}"));
        let mut file = File::create(&path).expect("created");
        while left == 0 || Disk::of(self.path()).free_bytes().expect("told") > left {
            if file.write_all(&[1; 64 * 1024]).is_err() {
                assert_eq!(left, 0, "it is full sooner than expected");
                break;
            }
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.folder.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(),
            "it stays mounted"
        );
    }
}

fn create(store: &Store) -> Result<JobId, StoreError> {
    let job: Job = sample::job(UserId::from_bytes(OWNER));
    store.create_job(&(&job).into()).map(|()| job.id)
}

fn write_blob(blobs: &Blobs, bytes: usize) -> std::io::Result<()> {
    let mut writer = blobs.create("text/plain")?;
    for _ in 0..bytes.div_ceil(64 * 1024) {
        writer.append(&[2; 64 * 1024])?;
    }
    writer.finish().map(drop)
}

fn all_there(folder: &Path, acknowledged: &HashSet<JobId>) {
    let store = Store::open(folder).expect("opened");
    store.verify().expect("whole");
    for id in acknowledged {
        assert!(store.job(*id).expect("read").is_some(), "{id} was acknowledged and is lost");
    }
}

#[test]
fn a_full_disk_is_told_reads_go_on_and_writes_too_once_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        // Not an administrator: perhaps one of a namespace of its own.
        if std::env::var_os(IN_NAMESPACE).is_none() {
            let status = Command::new("unshare")
                .args(["-Urm", "--"])
                .arg(std::env::current_exe().expect("the test's path"))
                .args([
                    "--exact",
                    "a_full_disk_is_told_reads_go_on_and_writes_too_once_there_is_room",
                    "--nocapture",
                ])
                .env(IN_NAMESPACE, "1")
                .status();
            if status.is_ok_and(|status| status.success()) {
                return;
            }
        }
        // No file system can be made here: a limit on files is as real to whoever writes.
        println!("no small file system can be mounted; the limit on files is used alone");
        return with_a_limit_on_files("a_full_disk_is_told_reads_go_on_and_writes_too_once_there_is_room");
    };
    let (store, blobs) = (disk.path().join("store"), disk.path().join("blobs"));
    let (folder, store) = (store.clone(), Store::open(&store).expect("opened"));
    let blobs = Blobs::open(blobs).expect("opened");
    let mut acknowledged: HashSet<JobId> = (0..50).map(|_| create(&store).expect("room")).collect();
    write_blob(&blobs, 100_000).expect("room");

    let first = disk.fill(24 * MIB);
    let error = write_blob(&blobs, 1_000_000).expect_err("blobs leave room for rows");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    acknowledged.insert(create(&store).expect("rows have a reserve"));

    for left in [8 * MIB, 0] {
        let ballast = disk.fill(left);
        // How much room there is stands for 50 ms.
        std::thread::sleep(Duration::from_millis(100));
        let error = create(&store).expect_err("the reserve is not touched");
        assert!(matches!(error, StoreError::Full(_)), "{error}");
        assert!(matches!(store.check_writable(), Err(StoreError::Full(_))), "and whoever asks is told");
        for id in &acknowledged {
            assert!(store.job(*id).expect("reads go on").is_some());
        }
        store.verify().expect("and all of it can be read");
        fs::remove_file(ballast).expect("removed");
        acknowledged.insert(create(&store).expect("room again, without a restart"));
        store.check_writable().expect("and whoever asks is told");
    }
    fs::remove_file(first).expect("removed");
    write_blob(&blobs, 1_000_000).expect("room for blobs again");

    while_it_fills_up(&disk, &store, &mut acknowledged);
    drop((store, blobs));
    all_there(&folder, &acknowledged);
}

/// Others fill the disk while rows are written, faster than anybody can look.
fn while_it_fills_up(disk: &SmallDisk, store: &Store, acknowledged: &mut HashSet<JobId>) {
    let (refused, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        match create(store) {
                            Ok(id) => mine.push(id),
                            Err(StoreError::Full(_)) => {
                                refused.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(other) => panic!("not the disk's room: {other}"),
                        }
                    }
                    mine
                })
            })
            .collect();
        let ballast = disk.fill(0);
        while refused.load(Ordering::Relaxed) < 10 {
            std::thread::yield_now();
        }
        fs::remove_file(ballast).expect("removed");
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            acknowledged.extend(writer.join().expect("no panic"));
        }
    });
}

#[test]
fn a_write_that_fails_half_way_loses_nothing_that_was_acknowledged() {
    with_a_limit_on_files("a_write_that_fails_half_way_loses_nothing_that_was_acknowledged");
}

/// Runs this test again in a process whose files may have two MiB.
fn with_a_limit_on_files(test: &str) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_until_refused(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("the test's path"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let (mut acknowledged, mut told) = (HashSet::new(), Vec::new());
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let line = line.expect("text");
        match line.split_once(' ') {
            Some(("created", id)) => {
                acknowledged.insert(id.parse().expect("an id"));
            }
            Some(("told", text)) => told.push(text.to_owned()),
            _ => {}
        }
    }
    assert!(child.wait().expect("waited").success(), "{told:?}");
    assert!(acknowledged.len() > 20, "{} writes fit", acknowledged.len());
    all_there(folder.path(), &acknowledged);
}

/// Prints what was acknowledged, and what is told once nothing more is.
fn write_until_refused(folder: &Path) {
    let store = Store::open(folder).expect("opened");
    let mut last = None;
    let error = loop {
        match create(&store) {
            Ok(id) => {
                println!("created {id}");
                last = Some(id);
            }
            Err(error) => break error,
        }
    };
    println!("told {error}");
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    let later = create(&store).expect_err("what reached the disk is unknown").to_string();
    println!("told {later}");
    assert!(later.contains("restart"), "{later}");
    assert_eq!(store.check_writable().expect_err("whoever asks is told").to_string(), later);
    let last = last.expect("some fit");
    assert!(store.job(last).expect("reads go on").is_some());
}
