//! Replays what the fuzz targets begin with, and everything that they ever found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fuzz_properties::{PROPERTIES, Property};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// The names in a folder, without their endings.
fn names(folder: &Path) -> BTreeSet<String> {
    let names = files(folder).into_iter();
    names.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

fn replay(name: &str) {
    let property: Property = PROPERTIES.iter().find(|(known, _)| *known == name).expect("a property").1;
    let folder = folder("corpus").join(name);
    let files = files(&folder);
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        // A property that does not hold says why; this says for what.
        println!("{}", file.display());
        property(&fs::read(&file).expect("a file"));
    }
}

#[test]
fn every_property_has_a_fuzz_target_and_a_corpus() {
    let known: BTreeSet<String> = PROPERTIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder("targets/fuzz_targets")), known);
    assert_eq!(names(&folder("corpus")), known);
    let manifest = fs::read_to_string(folder("targets/Cargo.toml")).expect("the targets' manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let built = manifest["bin"].as_array().expect("binaries").iter();
    let built: BTreeSet<String> = built.map(|bin| bin["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(built, known);
}

#[test]
fn every_property_holds_for_nothing() {
    for (_, property) in PROPERTIES {
        property(b"");
        property(b"\n");
    }
}

#[test]
fn every_property_is_replayed() {
    for (name, _) in PROPERTIES {
        assert!(include_str!("corpus.rs").contains(&format!("replay(\"{name}\")")), "{name} is not");
    }
}

#[test]
fn any_configuration_is_read_or_has_mistakes_and_no_secret_is_told() {
    replay("configuration");
}

#[test]
fn a_ctranslate2_file_is_its_variables_and_takes_no_more_memory_than_its_limits() {
    replay("ctranslate2");
}

#[test]
fn whatever_url_is_let_out_goes_where_it_was_granted() {
    replay("egress_url");
}

#[test]
fn a_model_file_takes_no_more_memory_than_its_length_justifies() {
    replay("gguf");
}

#[test]
fn a_manifest_that_is_taken_is_taken_again_when_it_was_written() {
    replay("manifest");
}

#[test]
fn a_form_is_the_same_however_it_comes_and_bounded() {
    replay("multipart");
}

#[test]
fn a_graph_takes_what_was_given_before_and_its_weights_fill_their_file() {
    replay("ncnn");
}

#[test]
fn lines_of_json_are_the_same_however_they_come() {
    replay("ndjson");
}

#[test]
fn a_plugin_file_has_one_manifest_for_whoever_reads_it() {
    replay("plugin_file");
}

#[test]
fn a_safetensors_file_is_its_tensors_and_nothing_else() {
    replay("safetensors");
}

#[test]
fn events_are_those_of_the_specification_however_they_come() {
    replay("sse");
}

#[test]
fn a_callback_is_believed_by_its_signature_alone() {
    replay("webhook_signature");
}

#[test]
fn a_pickle_is_read_and_never_run() {
    replay("torch");
}
