//! Writes small GGUF files: a whole llama of two blocks with a byte vocabulary, for tests that need any model, and headers
//! with a vocabulary alone.

/// Bytes 0 to 255, then `<|im_start|>` (256) and `<|im_end|>` (257).
const VOCABULARY: u64 = 258;
const WIDTH: u64 = 64;
const CONTEXT: u32 = 256;
const TEMPLATE: &str = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n";

struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, n: u32) {
        self.0.extend(n.to_le_bytes());
    }
    fn u64(&mut self, n: u64) {
        self.0.extend(n.to_le_bytes());
    }
    fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
    }
    fn list(&mut self, key: &str, kind: u32, length: usize) {
        self.text(key);
        self.u32(9);
        self.u32(kind);
        self.u64(length as u64);
    }
    fn pair_text(&mut self, key: &str, value: &str) {
        self.text(key);
        self.u32(8);
        self.text(value);
    }
    fn pair_u32(&mut self, key: &str, value: u32) {
        self.text(key);
        self.u32(4);
        self.u32(value);
    }
    fn pair_f32(&mut self, key: &str, value: f32) {
        self.text(key);
        self.u32(6);
        self.0.extend(value.to_le_bytes());
    }
}

/// A vocabulary as a file has it.
#[derive(Clone, Default)]
#[allow(dead_code, reason = "not every test that writes files uses it")]
pub struct Vocabulary {
    /// `tokenizer.ggml.model`.
    pub model: String,
    /// `tokenizer.ggml.pre`; none where empty.
    pub pre: String,
    pub tokens: Vec<String>,
    pub types: Vec<u32>,
    /// None where empty.
    pub scores: Vec<f32>,
    /// None where empty.
    pub merges: Vec<String>,
    pub bos: u32,
    pub eos: u32,
    pub flags: Vec<(String, bool)>,
}

/// A header of nothing but a vocabulary.
#[allow(dead_code, reason = "not every test that writes files uses it")]
pub fn vocabulary(words: &Vocabulary) -> Vec<u8> {
    let mut out = Writer(b"GGUF".to_vec());
    out.u32(3);
    out.u64(0);
    let lists = [!words.pre.is_empty(), !words.scores.is_empty(), !words.merges.is_empty()];
    out.u64((5 + lists.iter().filter(|there| **there).count() + words.flags.len()) as u64);
    out.pair_text("tokenizer.ggml.model", &words.model);
    if !words.pre.is_empty() {
        out.pair_text("tokenizer.ggml.pre", &words.pre);
    }
    out.pair_u32("tokenizer.ggml.bos_token_id", words.bos);
    out.pair_u32("tokenizer.ggml.eos_token_id", words.eos);
    out.list("tokenizer.ggml.tokens", 8, words.tokens.len());
    words.tokens.iter().for_each(|token| out.text(token));
    out.list("tokenizer.ggml.token_type", 5, words.types.len());
    words.types.iter().for_each(|kind| out.u32(*kind));
    if !words.scores.is_empty() {
        out.list("tokenizer.ggml.scores", 6, words.scores.len());
        words.scores.iter().for_each(|score| out.0.extend(score.to_le_bytes()));
    }
    if !words.merges.is_empty() {
        out.list("tokenizer.ggml.merges", 8, words.merges.len());
        words.merges.iter().for_each(|merge| out.text(merge));
    }
    for (key, flag) in &words.flags {
        out.text(key);
        out.u32(7);
        out.0.push(u8::from(*flag));
    }
    out.0
}

/// How a tiny llama's positions are rotated.
#[derive(Clone, Default)]
pub struct Rotation {
    /// `rope_freqs.weight`.
    pub factors: Option<Vec<f32>>,
    /// `llama.rope.scaling.type`.
    pub scaling: Option<String>,
    /// `llama.rope.scaling.factor`.
    pub factor: Option<f32>,
    /// `llama.rope.freq_base`.
    pub base: Option<f32>,
}

fn alphabet() -> Vec<String> {
    let printable = |byte: &u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut moved = '\u{100}'..;
    (0..=255_u8)
        .map(
            |byte| {
                if printable(&byte) { char::from(byte) } else { moved.next().expect("the range is endless") }
            },
        )
        .map(String::from)
        .chain(["<|im_start|>".to_owned(), "<|im_end|>".to_owned()])
        .collect()
}

fn tensors() -> Vec<(String, Vec<u64>)> {
    let mut tensors = vec![("token_embd.weight".to_owned(), vec![WIDTH, VOCABULARY])];
    for block in 0..2 {
        let square = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
        tensors.extend(square.map(|part| (format!("blk.{block}.{part}.weight"), vec![WIDTH, WIDTH])));
        tensors.extend(
            ["attn_norm", "ffn_norm"].map(|part| (format!("blk.{block}.{part}.weight"), vec![WIDTH])),
        );
    }
    tensors.push(("output_norm.weight".to_owned(), vec![WIDTH]));
    tensors
}

/// A whole, valid model file, and the length of its header.
#[allow(dead_code, reason = "not every test that writes files uses it")]
pub fn tiny_llama() -> (Vec<u8>, usize) {
    rotated_llama(&Rotation::default())
}

/// As [`tiny_llama`], with its positions rotated so.
pub fn rotated_llama(rotation: &Rotation) -> (Vec<u8>, usize) {
    let mut out = Writer(b"GGUF".to_vec());
    let mut tensors = tensors();
    tensors.extend(
        rotation.factors.iter().map(|factors| ("rope_freqs.weight".to_owned(), vec![factors.len() as u64])),
    );
    let more = usize::from(rotation.scaling.is_some())
        + usize::from(rotation.factor.is_some())
        + usize::from(rotation.base.is_some());
    out.u32(3);
    out.u64(tensors.len() as u64);
    out.u64(17 + more as u64);
    out.pair_text("general.architecture", "llama");
    out.pair_text("general.name", "tiny");
    out.pair_u32("llama.block_count", 2);
    out.pair_u32("llama.context_length", CONTEXT);
    out.pair_u32("llama.embedding_length", WIDTH as u32);
    out.pair_u32("llama.feed_forward_length", WIDTH as u32);
    out.pair_u32("llama.attention.head_count", 4);
    out.pair_u32("llama.attention.head_count_kv", 4);
    out.pair_f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
    if let Some(scaling) = &rotation.scaling {
        out.pair_text("llama.rope.scaling.type", scaling);
    }
    if let Some(factor) = rotation.factor {
        out.pair_f32("llama.rope.scaling.factor", factor);
    }
    if let Some(base) = rotation.base {
        out.pair_f32("llama.rope.freq_base", base);
    }
    out.pair_text("tokenizer.ggml.model", "gpt2");
    out.pair_text("tokenizer.ggml.pre", "gpt-2");
    out.pair_text("tokenizer.chat_template", TEMPLATE);
    out.pair_u32("tokenizer.ggml.bos_token_id", 256);
    out.pair_u32("tokenizer.ggml.eos_token_id", 257);
    out.text("tokenizer.ggml.tokens");
    out.u32(9);
    out.u32(8);
    out.u64(VOCABULARY);
    alphabet().iter().for_each(|token| out.text(token));
    out.text("tokenizer.ggml.token_type");
    out.u32(9);
    out.u32(5);
    out.u64(VOCABULARY);
    (0..VOCABULARY).for_each(|id| out.u32(if id < 256 { 1 } else { 3 }));
    out.text("tokenizer.ggml.merges");
    out.u32(9);
    out.u32(8);
    out.u64(0);
    let mut start = 0;
    for (name, dimensions) in &tensors {
        out.text(name);
        out.u32(dimensions.len() as u32);
        dimensions.iter().for_each(|n| out.u64(*n));
        out.u32(0);
        out.u64(start);
        start += dimensions.iter().product::<u64>() * 4;
    }
    let header = out.0.len();
    out.0.resize(header.next_multiple_of(32), 0);
    let mut state = 1_u32;
    for (name, dimensions) in &tensors {
        if let Some(factors) = rotation.factors.as_ref().filter(|_| name == "rope_freqs.weight") {
            factors.iter().for_each(|factor| out.0.extend(factor.to_le_bytes()));
            continue;
        }
        for _ in 0..dimensions.iter().product::<u64>() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            out.0.extend(if name.contains("norm") { 1.0_f32 } else { noise }.to_le_bytes());
        }
    }
    (out.0, header)
}
