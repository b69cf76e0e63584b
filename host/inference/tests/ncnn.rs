//! ncnn's files: what is read, and that whatever is damaged or hostile is refused with its line or byte.

use std::io::Cursor;
use std::path::Path;

use atelier_inference::esrgan::EsrganModel;
use atelier_inference::ncnn::{Graph, LayerWeights, Limits, Operation, Span, Weights};

const CONVOLUTION: &str = "Convolution c 1 1 data x 0=2 1=3 4=1 5=1 6=54";

fn graph(lines: &[&str], values: usize) -> Result<Graph, String> {
    let text = format!("7767517\n{} {values}\nInput in 0 1 data\n{}\n", lines.len() + 1, lines.join("\n"));
    read(&text)
}

fn read(text: &str) -> Result<Graph, String> {
    Graph::read(text.as_bytes(), Path::new("m.param"), Limits::default()).map_err(|error| error.to_string())
}

fn weights(bytes: &[u8]) -> Result<Weights, String> {
    let graph = graph(&[CONVOLUTION, "PReLU p 1 1 x y 0=2"], 3).expect("a graph");
    Weights::read(Cursor::new(bytes), bytes.len() as u64, &graph, Path::new("m.bin"))
        .map_err(|error| error.to_string())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(found: Result<T, String>, why: &str) {
    let error = found.expect_err("it must be refused");
    assert!(error.contains(why), "{error:?} does not say {why:?}");
}

#[test]
fn layers_are_read_with_their_parameters_and_values() {
    let leaky = "Convolution c 1 1 data x 0=2 1=3 4=1 5=1 6=54 9=2 -23310=1,2.000000e-01";
    let found = graph(&[leaky, "PixelShuffle s 1 1 x y 0=2"], 3).expect("it is read");
    let operations: Vec<_> = found.layers.iter().map(|layer| layer.operation.clone()).collect();
    assert_eq!(operations[1], Operation::Convolution { outputs: 2, weights: 54, slope: 0.2 });
    assert_eq!(operations[2], Operation::PixelShuffle { factor: 2 });
    assert_eq!(
        (found.layers[2].inputs[..].to_vec(), found.layers[2].outputs[..].to_vec()),
        (vec![1], vec![2])
    );
}

#[test]
fn a_graph_that_is_damaged_is_refused_with_its_line() {
    refused(read(""), "line 1 is not 7767517");
    refused(read("7767517\n1\n"), "line 2 is not two counts");
    refused(read("7767517\n99999999999999999999 1\n"), "line 2 is not two counts");
    refused(read("7767517\n4000000000 4000000000\n"), "claims 4000000000 layers");
    refused(graph(&["Split s 1 1 nowhere x"], 2), "line 4: \"nowhere\" is given nowhere before");
    refused(graph(&["Split s 1 1 data data"], 1), "line 4: \"data\" is given twice");
    refused(graph(&["Split s 1 65535 data x"], 2), "line 4: it has no output of that number");
    refused(graph(&["Split s 70000 1 data x"], 2), "line 4: \"70000\" is no count");
    refused(graph(&["Split s 0 1 x"], 2), "does not take 0 values");
    refused(graph(&["Softmax s 1 1 data x"], 2), "the ncnn layer \"Softmax\" is not supported");
    refused(graph(&["Split s 1 1 data x 5"], 2), "\"5\" is no parameter");
    refused(graph(&["PReLU p 1 1 data x 0=nan"], 2), "\"0=nan\" is no parameter");
    refused(graph(&["PReLU p 1 1 data x 0=3 0=3"], 2), "there twice");
    refused(graph(&["PReLU p 1 1 data x 99=3"], 2), "parameter 99 is out of range");
    refused(graph(&["PReLU p 1 1 data x -23300=9,1.0"], 2), "claims 9 numbers and has 1");
    refused(graph(&["PReLU p 1 1 data x 0=-1"], 2), "no count from 1");
    refused(graph(&["PReLU p 1 1 data x 0=3 7=1"], 2), "parameter 7 of PReLU is not known");
    refused(graph(&["Convolution c 1 1 data x 0=2 1=5 4=1 5=1 6=54"], 2), "only 3 is supported");
}

#[test]
fn every_limit_of_a_graph_is_met() {
    let limits = Limits { text_bytes_max: 200, layers_max: 3, values_max: 3, name_bytes_max: 8 };
    let read =
        |text: &str| Graph::read(text.as_bytes(), Path::new("m"), limits).map_err(|error| error.to_string());
    let head = "7767517\n3 3\nInput in 0 1 d\nSplit s 1 1 d x\n";
    read(&format!("{head}Split t 1 1 x 12345678\n")).expect("it is the limit");
    refused(read(&format!("{head}Split t 1 1 x 123456789\n")), "a name has more than 8 bytes");
    refused(read(&format!("{head}Split t 1 2 x y z\n")), "more than 3 values");
    refused(read(&format!("{head}Split t 1 1 x y\nSplit u 1 0 y\n")), "more than 3 layers");
    refused(read(&format!("{head}Concat t 3 1 d d d y\n")), "more than 3 values are taken");
    refused(read(&" ".repeat(201)), "more than 200 bytes");
}

#[test]
fn weights_lie_behind_one_another_and_fill_the_file() {
    let mut bytes = 0x0130_6B47_u32.to_le_bytes().to_vec();
    bytes.resize(4 + 108 + 8 + 8, 0);
    let found = weights(&bytes).expect("they are read");
    let span = |start, count, is_half| Span { start, count, is_half };
    let convolution = LayerWeights::Convolution { weights: span(4, 54, true), bias: span(112, 2, false) };
    assert_eq!(found.layers, [LayerWeights::None, convolution, LayerWeights::Slopes(span(120, 2, false))]);
    refused(weights(&bytes[..127]), "it ends at byte 127, inside of p");
    refused(weights(&bytes[..3]), "it ends at byte 3, inside of c");
    bytes.push(0);
    refused(weights(&bytes), "end at byte 128 and the file at 129");
    bytes[0] = 1;
    refused(weights(&bytes), "byte 0: weights stored as 0x01306b01");
}

#[test]
fn graphs_that_are_no_upscalers_are_refused() {
    let load = |lines: &[&str], values: usize| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text =
            format!("7767517\n{} {values}\nInput in 0 1 data\n{}\n", lines.len() + 1, lines.join("\n"));
        std::fs::write(folder.path().join("model.param"), text).expect("it is written");
        std::fs::write(folder.path().join("model.bin"), "").expect("it is written");
        EsrganModel::load(folder.path(), 1 << 30).map_err(|error| error.to_string())
    };
    refused(load(&["Split s 1 2 data x y"], 3), "there is not one result");
    refused(load(&["Concat c 2 1 data data x"], 2), "it is not one picture");
    refused(load(&["Input in 0 1 x", "BinaryOp a 2 1 data x y"], 3), "more than one input");
    refused(load(&["PReLU p 1 1 data x 0=3"], 2), "does not directly follow a convolution");
    refused(load(&[CONVOLUTION], 2), "it has not three channels");
    refused(load(&[&CONVOLUTION.replace("6=54", "6=53")], 2), "its weights do not fit");
    refused(load(&["PixelShuffle s 1 1 data x 0=2"], 2), "its channels are no squares");
    refused(load(&["Interp i 1 1 data x 0=3 1=0.5 2=0.5"], 2), "no whole number");
    let nearest = |from: &str, to: &str| format!("Interp {to} 1 1 {from} {to} 0=1 1=4.0 2=4.0");
    refused(load(&[&nearest("data", "x"), &nearest("x", "y")], 3), "more than 8 times");
    let doubled = |from: &str, to: &str| format!("Concat {to} 4 1 {from} {from} {from} {from} {to}");
    let lines = [doubled("data", "a"), doubled("a", "b"), doubled("b", "c")];
    refused(load(&lines.each_ref().map(String::as_str), 4), "too many pictures");
    refused(load(&[&nearest("data", "x"), "BinaryOp a 2 1 x data y"], 3), "several shapes");
    refused(load(&[&nearest("data", "x"), "Concat a 2 1 x data y"], 3), "several sizes");
}
