//! Operations and shapes, the same on every device; shapes fit no tile, and pages end within.

use atelier_inference::kernels::cuda::sources::ENCODINGS;
use atelier_inference::kernels::{Kernels, PAGE_TOKENS, PageShape, Span, Stored};
use atelier_inference::{ModelError, Precision, TextModel};

use crate::gguf_file;

/// What one operation gave.
pub struct Case {
    pub name: String,
    pub tolerance: f64,
    pub values: Vec<f32>,
}

/// Numbers between −1 and 1, the same for a seed.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Run everything on one device.
pub fn all<K: Kernels>(device: &K) -> Result<Vec<Case>, ModelError> {
    let mut cases = products(device)?;
    cases.extend(rows(device)?);
    for (start, count, group, width) in
        [(0, 1, 1, 6), (700, 1, 3, 64), (33, 64, 3, 64), (5, 20, 8, 128), (0, 17, 1, 250)]
    {
        cases.push(attention(device, start, count, group, width)?);
    }
    Ok(cases)
}

/// A whole model of random weights: a prompt in two pieces, and a token.
pub fn model<K: Kernels>(device: K) -> anyhow::Result<Case> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), gguf_file::tiny_llama().0)?;
    let model = TextModel::load_on(file.path(), device, Precision::Exact)?;
    let mut cache = model.new_cache(64);
    let tokens: Vec<u32> = (0..40).map(|at| at * 37 % 256).collect();
    let mut values = Vec::new();
    for piece in [&tokens[..33], &tokens[33..39], &tokens[39..]] {
        values.extend(model.forward(piece, &mut cache)?);
    }
    Ok(Case { name: "scores of a model".to_owned(), tolerance: 1e-4, values })
}

fn products<K: Kernels>(device: &K) -> Result<Vec<Case>, ModelError> {
    let mut cases = Vec::new();
    for encoding in ENCODINGS {
        let (rows, columns) = (133, encoding.block_size().max(32) * 3);
        // Bytes below 64 in every place: scales in 16 bits are then small numbers and never infinite.
        let length = rows * columns / encoding.block_size() * encoding.block_bytes();
        let bytes: Vec<u8> = noise(length, 3).iter().map(|x| ((x + 1.0) * 28.0) as u8).collect();
        let stored = Stored { encoding, rows, columns, bytes: &bytes };
        let matrix = device.matrix(stored, Precision::Exact)?;
        for count in [1, 3, 8, 9, 70] {
            let x = device.upload(columns, &noise(count * columns, 4))?;
            let mut out = device.tensor(count, rows)?;
            device.linear(&x, &mut [(&matrix, &mut out)]);
            let name = format!("product {encoding:?}, {count} rows");
            cases.push(Case { name, tolerance: 1e-5, values: device.read(&out)? });
        }
        let mut out = device.tensor(2, columns)?;
        device.embed(&matrix, &[132, 0], &mut out);
        cases.push(Case { name: format!("embed {encoding:?}"), tolerance: 1e-6, values: device.read(&out)? });
    }
    Ok(cases)
}

fn rows<K: Kernels>(device: &K) -> Result<Vec<Case>, ModelError> {
    let (rows, width) = (7, 578);
    let mut cases = Vec::new();
    let input = || device.upload(width, &noise(rows * width, 5).iter().map(|x| x * 4.0).collect::<Vec<_>>());
    let (weight, bias) = (device.upload(width, &noise(width, 6))?, device.upload(width, &noise(width, 7))?);
    let x = input()?;
    let mut out = device.tensor(rows, width)?;
    let mut keep = |name: &str, tolerance, tensor: &K::Tensor| -> Result<(), ModelError> {
        cases.push(Case { name: name.to_owned(), tolerance, values: device.read(tensor)? });
        Ok(())
    };
    device.rms_norm(&x, &weight, 1e-5, &mut out);
    keep("rms norm", 1e-5, &out)?;
    device.layer_norm(&x, &weight, &bias, 1e-5, &mut out);
    keep("layer norm", 1e-4, &out)?;
    device.take_rows(&x, &[6, 0, 3, 3, 1, 2, 5], &mut out);
    keep("rows taken", 0.0, &out)?;
    let mut own = input()?;
    device.softmax(&mut own);
    keep("softmax", 1e-5, &own)?;
    let mut own = input()?;
    device.swiglu(&mut own, &x);
    keep("swiglu", 1e-5, &own)?;
    let mut own = input()?;
    device.gelu(&mut own);
    keep("gelu", 1e-5, &own)?;
    device.add(&mut own, &x);
    device.add_bias(&mut own, &bias);
    keep("sums", 1e-5, &own)?;
    let (cos, sin) = (device.upload(17, &noise(17 * 40, 8))?, device.upload(17, &noise(17 * 40, 9))?);
    let mut own = input()?;
    device.rope(&mut own, &cos, &sin, &[39, 0, 1, 2, 3, 4, 5]);
    keep("rotation", 1e-5, &own)?;
    let mut out = device.tensor(rows, width)?;
    device.attend_all(&x, &input()?, &own, 17, &[2, 4, 1], &mut out);
    keep("attention of all to all", 1e-4, &out)?;
    Ok(cases)
}

fn attention<K: Kernels>(
    device: &K,
    start: usize,
    count: usize,
    group: usize,
    width: usize,
) -> Result<Case, ModelError> {
    let (kv_heads, total) = (3, start + count);
    let shape = PageShape { blocks: 2, kv_heads, head_width: width, precision: Precision::Exact };
    let mut pages =
        (0..total.div_ceil(PAGE_TOKENS)).map(|_| device.page(shape)).collect::<Result<Vec<_>, _>>()?;
    let upload = |seed| device.upload(kv_heads * width, &noise(total * kv_heads * width, seed));
    device.store(
        &upload(1)?,
        &upload(2)?,
        1,
        &mut [Span { shared: &[], pages: &mut pages, start: 0, count: total }],
    );
    let queries = device.upload(kv_heads * group * width, &noise(count * kv_heads * group * width, 3))?;
    let mut out = device.tensor(count, kv_heads * group * width)?;
    device.attend(&queries, 1, &[Span { shared: &[], pages: &mut pages, start, count }], &mut out);
    let name = format!("attention of {count} rows after {start}, {group} heads share, {width} wide");
    Ok(Case { name, tolerance: 1e-4, values: device.read(&out)? })
}
