//! Writes small GGUF files: a whole llama of two blocks with a byte vocabulary, for tests that need any model.

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
pub fn tiny_llama() -> (Vec<u8>, usize) {
    let mut out = Writer(b"GGUF".to_vec());
    let tensors = tensors();
    out.u32(3);
    out.u64(tensors.len() as u64);
    out.u64(17);
    out.pair_text("general.architecture", "llama");
    out.pair_text("general.name", "tiny");
    out.pair_u32("llama.block_count", 2);
    out.pair_u32("llama.context_length", CONTEXT);
    out.pair_u32("llama.embedding_length", WIDTH as u32);
    out.pair_u32("llama.feed_forward_length", WIDTH as u32);
    out.pair_u32("llama.attention.head_count", 4);
    out.pair_u32("llama.attention.head_count_kv", 4);
    out.pair_f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
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
        for _ in 0..dimensions.iter().product::<u64>() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
            out.0.extend(if name.contains("norm") { 1.0_f32 } else { noise }.to_le_bytes());
        }
    }
    (out.0, header)
}
