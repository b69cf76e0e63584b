//! CTranslate2 model files: whole ones are read, and damaged or hostile ones are refused by a reason, without a panic.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use atelier_inference::ModelError;
use atelier_inference::ctranslate2::{Dtype, Header, Limits, VariableReader};

fn name(text: &str) -> Vec<u8> {
    [&(text.len() as u16 + 1).to_le_bytes()[..], text.as_bytes(), &[0]].concat()
}

fn variable(text: &str, shape: &[u32], dtype: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = name(text);
    out.push(shape.len() as u8);
    shape.iter().for_each(|n| out.extend(n.to_le_bytes()));
    out.push(dtype);
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
    out
}

/// A file of these variables, and of aliases `(alias, name)`.
fn file(variables: &[Vec<u8>], aliases: &[(&str, &str)]) -> Vec<u8> {
    let mut out = 6_u32.to_le_bytes().to_vec();
    out.extend(name("WhisperSpec"));
    out.extend(3_u32.to_le_bytes());
    out.extend((variables.len() as u32).to_le_bytes());
    out.extend(variables.concat());
    out.extend((aliases.len() as u32).to_le_bytes());
    aliases.iter().for_each(|(alias, of)| out.extend([name(alias), name(of)].concat()));
    out
}

fn whole() -> Vec<u8> {
    let halves = [0x00, 0x3C, 0x00, 0xC5]; // 1 and -5
    let floats = [1.5_f32.to_le_bytes(), (-0.1_f32).to_le_bytes()].concat();
    let variables = [
        variable("a/weight", &[2, 1], 4, &halves),
        variable("a/bias", &[2], 0, &floats),
        variable("a/brain", &[1], 5, &[0x80, 0x3F]),
        variable("a/heads", &[], 2, &6_i16.to_le_bytes()),
        variable("a/norm", &[], 1, &[0xFF]),
        variable("a/whole", &[1], 3, &[1, 0, 0, 0]),
    ];
    file(&variables, &[("b/weight", "a/weight")])
}

fn read_within(bytes: &[u8], limits: Limits) -> Result<Header, ModelError> {
    Header::read(Cursor::new(bytes), bytes.len() as u64, Path::new("model.bin"), limits)
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

#[test]
fn a_whole_file_is_its_variables() {
    let bytes = whole();
    let header = read_within(&bytes, Limits::default()).expect("it is whole");
    assert_eq!((header.specification(), header.revision()), ("WhisperSpec", 3));
    assert_eq!(header.variables().count(), 6);
    let weight = header.variable("a/weight").expect("it is there");
    assert_eq!((weight.shape.as_slice(), weight.dtype, weight.bytes), (&[2, 1][..], Dtype::F16, 4));
    assert_eq!(bytes[weight.start as usize..][..4], [0x00, 0x3C, 0x00, 0xC5]);
    assert_eq!(header.variable("b/weight"), Some(weight));
    assert!(header.variable("c").is_none());
}

#[test]
fn floats_and_whole_numbers_are_read_and_nothing_else_is_taken_for_them() {
    let path = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(path.path(), whole()).expect("it can be written");
    let mut reader = VariableReader::open(path.path(), Limits::default()).expect("it is whole");
    assert_eq!(reader.floats("a/bias", &[2]).expect("floats"), [1.5, -0.1]);
    assert_eq!(reader.floats("b/weight", &[2, 1]).expect("floats"), [1.0, -5.0]);
    assert_eq!(reader.floats("a/brain", &[1]).expect("floats"), [1.0]);
    assert_eq!((reader.whole("a/heads").expect("16 bits"), reader.whole("a/norm").expect("8 bits")), (6, -1));
    for (outcome, why) in [
        (reader.floats("a/whole", &[1]).map(drop), "I32"),
        (reader.floats("a/bias", &[1, 2]).map(drop), "[2], not [1, 2]"),
        (reader.floats("c", &[1]).map(drop), "missing"),
        (reader.whole("a/bias").map(drop), "[2], not []"),
    ] {
        let error = outcome.expect_err("it must be refused").to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }
}

#[test]
fn a_variable_of_many_chunks_is_read_in_order() {
    let values: Vec<f32> = (0..50_001).map(|n| n as f32).collect();
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let path = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(path.path(), file(&[variable("a", &[50_001], 0, &data)], &[])).expect("it can be written");
    let mut reader = VariableReader::open(path.path(), Limits::default()).expect("it is whole");
    assert_eq!(reader.floats("a", &[50_001]).expect("floats"), values);
}

#[test]
fn a_file_cut_short_anywhere_is_an_error() {
    let bytes = whole();
    for length in 0..bytes.len() {
        let read = read_within(&bytes[..length], Limits::default());
        assert!(matches!(read, Err(ModelError::Malformed { .. })), "cut to {length} bytes: {read:?}");
    }
}

#[test]
fn no_flipped_bit_makes_a_variable_that_is_not_in_the_file() {
    let bytes = whole();
    for at in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        let Ok(header) = read_within(&flipped, Limits::default()) else { continue };
        for (name, variable) in header.variables() {
            let elements: usize = variable.shape.iter().product();
            assert_eq!(elements as u64 * variable.dtype.bytes(), variable.bytes, "{name}, bit {at}");
            assert!(variable.start + variable.bytes <= bytes.len() as u64, "{name}, bit {at}");
        }
    }
}

#[test]
fn what_contradicts_itself_is_refused_by_name() {
    let other_version = [&5_u32.to_le_bytes()[..], &whole()[4..]].concat();
    refused(&other_version, "binary version 5 is not supported");
    refused(&file(&[variable("a", &[1], 6, &[0])], &[]), "variable type 6 is not supported");
    refused(&file(&[variable("a", &[3], 0, &[0; 8])], &[]), "cannot have 8 bytes");
    refused(&file(&[variable("a", &[u32::MAX; 4], 0, &[0; 8])], &[]), "cannot have 8 bytes");
    let twice = variable("a", &[1], 1, &[0]);
    refused(&file(&[twice.clone(), twice.clone()], &[]), "`a` appears twice");
    refused(&file(std::slice::from_ref(&twice), &[("a", "a")]), "`a` appears twice");
    refused(&file(std::slice::from_ref(&twice), &[("b", "a"), ("b", "a")]), "`b` appears twice");
    refused(&file(std::slice::from_ref(&twice), &[("b", "c")]), "stands for `c`, which is not there");
    refused(&[whole(), vec![0]].concat(), "1 bytes after its end");
    refused(&file(&[variable("a\0b", &[1], 1, &[0])], &[]), "its only zero");
    let mut not_text = file(&[twice], &[]);
    not_text[6] = 0xFF;
    refused(&not_text, "not UTF-8");
}

#[test]
fn a_variable_longer_than_the_file_is_refused_without_taking_its_memory() {
    let mut long = name("a");
    long.push(1);
    long.extend((u32::MAX / 4).to_le_bytes());
    long.push(0);
    long.extend((u32::MAX / 4 * 4).to_le_bytes());
    refused(&file(&[long], &[]), "bytes left, not the 4294967292 of a variable");
}

#[test]
fn each_limit_binds_where_it_says() {
    let limits = Limits { variables_max: 2, aliases_max: 1, dimensions_max: 2, name_bytes_max: 13 };
    let nothing = |name: &str| variable(name, &[0, 9], 0, &[]);
    let fits = file(&[nothing("a"), nothing("123456789012")], &[("b", "a")]);
    assert!(read_within(&fits, limits).is_ok());
    refused_within(&file(&[nothing("a"), nothing("b"), nothing("c")], &[]), limits, "3 variables; at most 2");
    refused_within(&file(&[nothing("a")], &[("b", "a"), ("c", "a")]), limits, "2 aliases; at most 1");
    refused_within(&file(&[variable("a", &[0; 3], 0, &[])], &[]), limits, "3 dimensions; at most 2");
    refused_within(&file(&[nothing("1234567890123")], &[]), limits, "a name of 14 bytes; at most 13");
}
