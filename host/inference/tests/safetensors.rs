//! safetensors files: whole ones are read, and whatever is wrong with one is an error that says what.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use atelier_inference::ModelError;
use atelier_inference::safetensors::{Dtype, Header, Limits, TensorReader};
use serde_json::json;

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn read_within(bytes: &[u8], limits: Limits) -> Result<Header, ModelError> {
    Header::read(Cursor::new(bytes), bytes.len() as u64, Path::new("test.safetensors"), limits)
}

#[track_caller]
fn refused(bytes: &[u8], why: &str) {
    refused_within(bytes, Limits::default(), why);
}

#[track_caller]
fn refused_within(bytes: &[u8], limits: Limits, why: &str) {
    let error = read_within(bytes, limits).expect_err("it must be refused").to_string();
    assert!(error.contains(why), "{error:?} does not say {why:?}");
}

fn tensor(dtype: &str, shape: &[u64], begin: u64, end: u64) -> serde_json::Value {
    json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, end]})
}

fn one(dtype: &str, shape: &[u64], begin: u64, end: u64) -> String {
    json!({"a": tensor(dtype, shape, begin, end)}).to_string()
}

fn two(a: serde_json::Value, b: serde_json::Value) -> String {
    json!({"a": a, "b": b}).to_string()
}

#[test]
fn a_whole_file_is_its_tensors() {
    let header = json!({
        "__metadata__": {"format": "pt"},
        "second": tensor("F16", &[], 24, 26),
        "first": tensor("F32", &[2, 3], 0, 24),
        "none": tensor("I64", &[0, 9], 26, 26),
    });
    let header = format!("{header}   ");
    let bytes = file(&header, &[0; 26]);
    let read = read_within(&bytes, Limits::default()).expect("it is whole");
    let start = 8 + header.len() as u64;
    let first = read.tensor("first").expect("it is there");
    assert_eq!(
        (first.shape.as_slice(), first.dtype, first.start, first.bytes),
        (&[2, 3][..], Dtype::F32, start, 24)
    );
    assert_eq!(first.elements(), 6);
    let second = read.tensor("second").expect("it is there");
    assert_eq!((second.shape.len(), second.elements(), second.start), (0, 1, start + 24));
    assert_eq!(read.tensors().count(), 3);
    assert!(read.tensor("__metadata__").is_none());
}

#[test]
fn floats_of_all_three_kinds_are_read_and_nothing_else_is_taken_for_floats() {
    let header = json!({
        "f32": tensor("F32", &[2], 0, 8),
        "f16": tensor("F16", &[2], 8, 12),
        "bf16": tensor("BF16", &[1, 1], 12, 14),
        "i16": tensor("I16", &[1], 14, 16),
    });
    let mut data = Vec::new();
    data.extend(1.5_f32.to_le_bytes());
    data.extend((-0.1_f32).to_le_bytes());
    data.extend([0x00, 0x3C, 0x00, 0xC5]); // 1 and -5
    data.extend([0x80, 0x3F, 1, 0]); // 1, and a whole number
    let path = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(path.path(), file(&header.to_string(), &data)).expect("it can be written");
    let mut reader = TensorReader::open(path.path(), Limits::default()).expect("it is whole");
    assert_eq!(reader.floats("f32", &[2]).expect("floats"), [1.5, -0.1]);
    assert_eq!(reader.floats("f16", &[2]).expect("floats"), [1.0, -5.0]);
    assert_eq!(reader.floats("bf16", &[1, 1]).expect("floats"), [1.0]);
    for (name, shape, why) in [
        ("i16", &[1][..], "I16"),
        ("f32", &[3], "[2], not [3]"),
        ("f32", &[1, 2], "[2], not [1, 2]"),
        ("f64", &[1], "missing"),
    ] {
        let error = reader.floats(name, shape).expect_err("it must be refused").to_string();
        assert!(error.contains(name) && error.contains(why), "{error:?} does not say {why:?}");
    }
}

#[test]
fn a_tensor_of_many_chunks_is_read_in_order() {
    let values: Vec<f32> = (0..50_001).map(|n| n as f32).collect();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let path = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(path.path(), file(&one("F32", &[50_001], 0, 200_004), &data)).expect("it can be written");
    let mut reader = TensorReader::open(path.path(), Limits::default()).expect("it is whole");
    assert_eq!(reader.floats("a", &[50_001]).expect("floats"), values);
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    let bytes = file(&one("F32", &[2, 3], 0, 24), &[0; 24]);
    for length in 0..bytes.len() {
        assert!(
            read_within(&bytes[..length], Limits::default()).is_err(),
            "cut to {length} bytes it was accepted"
        );
    }
    refused(&bytes[..7], "too few for a header's length");
    refused(&bytes[..20], "it ends inside its header");
    refused(&bytes[..bytes.len() - 1], "from 0 to 24 of 23 bytes");
}

#[test]
fn a_header_longer_than_allowed_is_refused_without_taking_its_memory() {
    for claimed in [u64::MAX, 1 << 40, (16 << 20) + 1] {
        let mut bytes = file("{}", &[]);
        bytes[..8].copy_from_slice(&claimed.to_le_bytes());
        refused(&bytes, "at most 16777216 are read");
    }
    let limits = Limits { header_bytes_max: 10, ..Limits::default() };
    refused_within(&file(&format!("{{}}{}", " ".repeat(9)), &[]), limits, "at most 10 are read");
    assert!(read_within(&file(&format!("{{}}{}", " ".repeat(8)), &[]), limits).is_ok());
}

#[test]
fn a_header_that_is_not_the_formats_json_is_refused() {
    refused(&file("", &[]), "does not begin with `{`");
    refused(&file(" {}", &[]), "does not begin with `{`");
    refused(&file("{", &[]), "EOF");
    refused(&file("{} x", &[]), "trailing");
    refused(&file("{\"\u{1}\":1}", &[]), "control character");
    refused(&[&9_u64.to_le_bytes()[..], b"{\"\xFF\xFF\":1}"].concat()[..], "header");
    refused(&file(r#"{"a": 1}"#, &[]), "invalid type");
    refused(&file(r#"{"a": {"dtype": "U8", "shape": []}}"#, &[]), "missing field");
    refused(
        &file(r#"{"a": {"dtype": "U8", "shape": [], "data_offsets": [0, 1], "x": 1}}"#, &[0]),
        "unknown field",
    );
    refused(&file(r#"{"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]}}"#, &[0]), "invalid value");
    refused(&file(r#"{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1, 2]}}"#, &[0]), "trailing");
    refused(&file(r#"{"__metadata__": {"a": 1}}"#, &[]), "invalid type");
    refused(&file(r#"{"__metadata__": {}, "__metadata__": {}}"#, &[]), "`__metadata__` appears twice");
    let twice = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    refused(&file(twice, &[0; 2]), "tensor `a` appears twice");
}

#[test]
fn an_unknown_type_is_refused_by_name() {
    refused(&file(&one("F4", &[2], 0, 1), &[0]), "tensor type F4 is not supported");
}

#[test]
fn shape_type_and_bytes_must_agree() {
    refused(&file(&one("F32", &[3], 0, 8), &[0; 8]), "cannot have 8 bytes");
    refused(&file(&one("F64", &[1 << 63, 1 << 63, 4], 0, 8), &[0; 8]), "cannot have 8 bytes");
    refused(&file(&one("F32", &[], 0, 0), &[]), "cannot have 0 bytes");
    refused(&file(&one("U8", &[2], 2, 0), &[0; 2]), "from 2 to 0");
    refused(&file(&one("U8", &[9], 0, 9), &[0; 2]), "from 0 to 9 of 2 bytes");
    refused(&file(&one("U8", &[1], u64::MAX - 1, u64::MAX), &[0; 2]), "of 2 bytes");
}

#[test]
fn holes_and_overlaps_are_refused() {
    refused(&file(&one("U8", &[1], 1, 2), &[0; 2]), "bytes 0 to 1 of its data belong to no tensor");
    refused(&file(&one("U8", &[1], 0, 1), &[0; 3]), "bytes 1 to 3 of its data belong to no tensor");
    let apart = two(tensor("U8", &[1], 0, 1), tensor("U8", &[1], 2, 3));
    refused(&file(&apart, &[0; 3]), "bytes 1 to 2 of its data belong to no tensor");
    let across = two(tensor("U8", &[2], 0, 2), tensor("U8", &[2], 1, 3));
    refused(&file(&across, &[0; 3]), "its tensors overlap");
    let same = two(tensor("U8", &[2], 0, 2), tensor("U8", &[2], 0, 2));
    refused(&file(&same, &[0; 2]), "its tensors overlap");
    refused(&file("{}", &[0]), "belong to no tensor");
}

#[test]
fn each_limit_binds_where_it_says() {
    let nothing = |name: &str| format!(r#""{name}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#);
    let limits =
        Limits { tensors_max: 2, dimensions_max: 2, name_bytes_max: 3, metadata_max: 1, ..Limits::default() };
    let fits = format!(r#"{{"__metadata__":{{"x":"y"}},{},{}}}"#, nothing("abc"), nothing("b"));
    assert!(read_within(&file(&fits, &[]), limits).is_ok());
    let three = format!("{{{},{},{}}}", nothing("a"), nothing("b"), nothing("c"));
    refused_within(&file(&three, &[]), limits, "more than 2 tensors");
    refused_within(&file(&format!("{{{}}}", nothing("abcd")), &[]), limits, "at most 3 are read");
    refused_within(&file(&one("U8", &[1, 1, 1], 0, 1), &[0]), limits, "more than 2 dimensions");
    refused_within(&file(r#"{"__metadata__":{"x":"","y":""}}"#, &[]), limits, "more than 1 texts");
    refused(&file(&one("U8", &[1; 65], 0, 1), &[0]), "too many dimensions");
    refused(&file(&format!(r#"{{"a":{}"#, "[".repeat(100_000)), &[]), "header");
}
