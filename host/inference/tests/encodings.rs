//! Blocks of every quantised encoding mean what ggml's own Python package says (`encodings/reference.py`).

use atelier_inference::gguf::Encoding;

#[test]
fn blocks_mean_what_the_format_s_authors_say() {
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("encodings/reference.json")).expect("it is JSON");
    let encodings = [
        ("Q4_0", Encoding::Q4_0),
        ("Q4_1", Encoding::Q4_1),
        ("Q5_0", Encoding::Q5_0),
        ("Q5_1", Encoding::Q5_1),
        ("Q8_0", Encoding::Q8_0),
        ("Q4_K", Encoding::Q4K),
        ("Q5_K", Encoding::Q5K),
        ("Q6_K", Encoding::Q6K),
    ];
    for (name, encoding) in encodings {
        let numbers = |what: &str| -> Vec<f64> {
            let list = reference[name][what].as_array().expect("a list");
            list.iter().map(|number| number.as_f64().expect("a number")).collect()
        };
        let bytes: Vec<u8> = numbers("bytes").into_iter().map(|byte| byte as u8).collect();
        assert_eq!(bytes.len(), encoding.block_bytes(), "{name}");
        let mut found = vec![0.0_f32; encoding.block_size()];
        encoding.decode(&bytes, &mut found);
        for (at, (found, right)) in found.iter().zip(numbers("values")).enumerate() {
            let off = (f64::from(*found) - right).abs();
            assert!(off <= 1e-6 * right.abs().max(0.1), "{name} at {at}: {found}, not {right}");
        }
    }
}
