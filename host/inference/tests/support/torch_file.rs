//! Checkpoints of PyTorch, as tests make them.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A pickle of what stands between its head and its end.
pub fn pickle(body: &[u8]) -> Vec<u8> {
    [b"\x80\x02", body, b"."].concat()
}

/// A text, as a value.
pub fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A tuple of numbers.
fn numbers(numbers: &[i32]) -> Vec<u8> {
    let each = numbers.iter().flat_map(|number| [b"J", &number.to_le_bytes()[..]].concat());
    b"(".iter().copied().chain(each).chain(*b"t").collect()
}

/// A tensor of the storage `0`, which has elements of the kind `storage` and `count` of them.
pub fn tensor(storage: &str, count: i32, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let offset = [b"J", &offset.to_le_bytes()[..]].concat();
    let count = [b"J", &count.to_le_bytes()[..]].concat();
    let storage = [
        &b"("[..],
        &text("storage"),
        b"ctorch\n",
        storage.as_bytes(),
        b"\n",
        &text("0"),
        &text("cpu"),
        &count,
        b"tQ",
    ]
    .concat();
    let rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(";
    [
        rebuild,
        &storage[..],
        &offset,
        &numbers(shape),
        &numbers(strides),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

/// Write an archive of these members.
pub fn archive(path: &Path, members: &[(&str, &[u8])], method: CompressionMethod) {
    let mut archive = ZipWriter::new(File::create(path).expect("a file"));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(*name, options).expect("a member");
        archive.write_all(bytes).expect("its bytes");
    }
    archive.finish().expect("an archive");
}
