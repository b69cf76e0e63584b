//! PyTorch's checkpoints: what is read, and that whatever is damaged or hostile is refused and never run.

use std::path::Path;

use atelier_inference::torch::{Checkpoint, Dtype, Limits, StateDict};
use torch_file::{archive, pickle, tensor, text};
use zip::CompressionMethod;

#[path = "support/torch_file.rs"]
mod torch_file;

fn holding(tensor: &[u8]) -> Vec<u8> {
    pickle(&[b"}", &text("w")[..], tensor, b"s"].concat())
}

fn read(bytes: &[u8]) -> Result<StateDict, String> {
    StateDict::read(bytes, Path::new("m.pt"), Limits::default()).map_err(|error| error.to_string())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(found: Result<T, String>, why: &str) {
    let error = found.expect_err("it must be refused");
    assert!(error.contains(why), "{error:?} does not say {why:?}");
}

#[test]
fn tensors_have_the_names_of_their_dictionaries() {
    let entry = [b"}", &text("w")[..], &tensor("HalfStorage", 9, 3, &[2, 1, 3], &[3, 77, 1]), b"s"].concat();
    let found = read(&pickle(&[b"}", &text("net")[..], &entry, b"s"].concat())).expect("it is read");
    let tensor = &found.tensors["net.w"];
    assert_eq!((tensor.dtype, tensor.offset, tensor.count, tensor.storage_count), (Dtype::F16, 3, 6, 9));
    assert_eq!(tensor.shape, [2, 1, 3]);
}

#[test]
fn nothing_that_a_pickle_could_run_is_known() {
    refused(read(&pickle(b"cos\nsystem\n(X\x02\x00\x00\x00lstR")), "Python name os.system is not supported");
    refused(read(&pickle(b"cbuiltins\neval\n)R")), "builtins.eval");
    refused(read(&pickle(b"c__builtin__\ngetattr\n")), "__builtin__.getattr");
    // Other ways to a call: INST, OBJ, NEWOBJ, STACK_GLOBAL, EXT1.
    for opcode in [b'i', b'o', 0x81, 0x93, 0x82] {
        refused(read(&pickle(&[b'(', opcode])), &format!("pickle opcode {opcode:#04x} is not supported"));
    }
    refused(read(&pickle(b"ccollections\nOrderedDict\n)R(tR")), "a call is not one of those");
    refused(read(b"\x80\x04."), "protocol 2");
}

#[test]
fn tensors_lie_within_their_storage_behind_one_another() {
    let f32s = |count, offset, shape: &[i32], strides: &[i32]| {
        read(&holding(&tensor("FloatStorage", count, offset, shape, strides)))
    };
    assert!(f32s(6, 0, &[2, 3], &[3, 1]).is_ok());
    refused(f32s(6, 1, &[2, 3], &[3, 1]), "ends behind its storage");
    refused(f32s(6, -1, &[2], &[1]), "begins before its storage");
    refused(f32s(6, 0, &[2, 3], &[1, 2]), "do not lie behind one another");
    refused(f32s(6, 0, &[2, 3], &[1]), "other strides");
    refused(f32s(6, 0, &[-2], &[1]), "not numbers from 0");
    refused(f32s(6, 0, &[1; 9], &[1; 9]), "too many");
    refused(f32s(-6, 0, &[1], &[1]), "what stands for a storage is none");
    let large = [1 << 30, 1 << 30, 1 << 30];
    refused(f32s(6, 0, &large, &[0, 1 << 30, 1]), "do not lie");
    refused(read(&holding(&tensor("QInt8Storage", 1, 0, &[1], &[1]))), "torch.QInt8Storage");
}

#[test]
fn every_limit_is_kept() {
    let with = |limits, bytes: &[u8]| {
        StateDict::read(bytes, Path::new("m.pt"), limits).map_err(|error| error.to_string())
    };
    let all = Limits::default();
    refused(with(Limits { pickle_bytes_max: 3, ..all }, &pickle(b"}q\x00")), "more than 3 bytes");
    refused(with(Limits { stack_max: 2, ..all }, &pickle(b"NNN")), "stack is too high");
    refused(with(Limits { stack_max: 2, ..all }, &pickle(b"(((")), "too many marks");
    refused(with(Limits { memo_max: 1, ..all }, &pickle(b"}q\x00q\x01")), "remembers too many");
    let two = pickle(&[b"}(", &text("a")[..], b"N", &text("b"), b"Nu"].concat());
    assert!(with(Limits { entries_max: 2, ..all }, &two).is_ok());
    refused(with(Limits { entries_max: 1, ..all }, &two), "more than 1 entries");
    let long = pickle(&[b"}", &text("abc")[..], b"Ns"].concat());
    refused(with(Limits { name_bytes_max: 2, ..all }, &long), "a name has more than 2 bytes");
    // A dictionary that holds itself.
    let itself = pickle(&[b"}q\x00", &text("a")[..], b"h\x00s"].concat());
    refused(with(all, &itself), "more than 4 dictionaries within each other");
}

#[test]
fn a_pickle_cut_anywhere_is_refused() {
    let whole = holding(&tensor("FloatStorage", 1, 0, &[1], &[1]));
    assert!(read(&whole).is_ok());
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "cut at {end}");
    }
    refused(read(&[&whole[..], b"N"].concat()), "goes on after its value");
    refused(read(&pickle(b"N")), "no dictionary");
    refused(read(&pickle(b"h\x07")), "never remembered");
    refused(read(&pickle(b"(s")), "empty stack");
    refused(read(&pickle(b"t")), "lacks a mark");
    refused(read(&pickle(b"}(NNNu")), "entries are set");
    refused(read(&pickle(b"N}b")), "has attributes");
    let twice = [&text("w")[..], &tensor("FloatStorage", 1, 0, &[1], &[1])].concat();
    refused(read(&pickle(&[b"}(", &twice[..], &twice, b"u"].concat())), "names w twice");
}

fn open(members: &[(&str, &[u8])], method: CompressionMethod, limits: Limits) -> Result<Vec<f32>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.pt");
    archive(&path, members, method);
    let file = Checkpoint::open(&path, limits).map_err(|error| error.to_string())?;
    file.floats("w", &[2]).map_err(|error| error.to_string())
}

#[test]
fn an_archive_gives_numbers_only_where_all_of_it_fits() {
    let named = holding(&tensor("FloatStorage", 3, 1, &[2], &[1]));
    let stored: Vec<u8> = [1.0_f32, 2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let (all, plain) = (Limits::default(), CompressionMethod::Stored);
    let whole: &[(&str, &[u8])] =
        &[("m/data.pkl", &named), ("m/byteorder", b"little"), ("m/data/0", &stored)];
    assert_eq!(open(whole, plain, all).expect("it is read"), [2.0, 3.0]);
    refused(open(whole, plain, Limits { file_bytes_max: 99, ..all }), "more than 99 bytes");
    refused(open(whole, CompressionMethod::Deflated, all), "is compressed, or not as long");
    refused(open(&[("m/data.pkl", &named), ("m/data/0", &stored[..8])], plain, all), "not as long");
    refused(open(&[("m/data.pkl", &named)], plain, all), "storage m/data/0");
    refused(open(&[("m/data.pkl", &named), ("m/byteorder", b"big")], plain, all), "byte order big");
    refused(open(&[("m/data.pkl", &named), ("n/data.pkl", &named)], plain, all), "2 members");
    let integers = holding(&tensor("LongStorage", 2, 0, &[2], &[1]));
    refused(open(&[("m/data.pkl", &integers), ("m/data/0", &[0; 16])], plain, all), "of integers");
    let other = holding(&tensor("FloatStorage", 3, 0, &[3], &[1]));
    refused(open(&[("m/data.pkl", &other), ("m/data/0", &stored)], plain, all), "its shape is [3]");
}
