"""A small llama of random weights as transformers saves it, and what it computes: the fixtures beside this script.

    pip install numpy==2.4.6 safetensors==0.8.0 tokenizers==0.21.4
    python reference.py

The tokenizer is trained by the library `tokenizers` on the words below and cuts texts as Llama 3 does. Scores are computed here in float64,
as transformers' `LlamaForCausalLM` does it: the halves of a head are rotated against each other, and frequencies are divided as
`_compute_llama3_parameters` says. The weights are in two files of 16-bit and 32-bit floats.
"""

import json
from pathlib import Path

import numpy
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WORDS = """The lighthouse keeper counts ships: one, two, three hundred and 4567 in a year. He's sure they're all his.
Größe und Länge, naïve café, Ωμέγα, 你好世界, مرحبا.
\tIndented   text, and some more text; the text that follows is text.
"""
TEXTS = [
    "The lighthouse keeper's ships",
    "  12345 in\n\n a year",
    "They'RE café\t你好 مرحبا 🦀",
    "<|end|> is a mark, and the ships are his",
]
WIDTH, FEED, BLOCKS, HEADS, KV_HEADS, EPSILON, THETA = 32, 48, 2, 4, 2, 1e-5, 10_000.0
HEAD = WIDTH // HEADS
ROPE = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def tokenizer():
    made = Tokenizer(models.BPE(ignore_merges=True))
    split = pre_tokenizers.Split(Regex(LLAMA_3), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(WORDS.splitlines(True), trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    made.add_special_tokens([AddedToken(text, special=True) for text in SPECIAL])
    return made


def weights(vocabulary):
    random = numpy.random.default_rng(7)

    def matrix(rows, columns, kind=numpy.float16):
        return (random.standard_normal((rows, columns)) / numpy.sqrt(columns)).astype(kind)

    def norm():
        return (1 + random.standard_normal(WIDTH) / 4).astype(numpy.float32)

    first = {"model.embed_tokens.weight": matrix(vocabulary, WIDTH)}
    second = {"model.norm.weight": norm(), "lm_head.weight": matrix(vocabulary, WIDTH)}
    for block, part in zip(range(BLOCKS), [first, second]):
        place = f"model.layers.{block}."
        part |= {
            place + "input_layernorm.weight": norm(),
            place + "self_attn.q_proj.weight": matrix(HEADS * HEAD, WIDTH) * numpy.float16(4),
            place + "self_attn.k_proj.weight": matrix(KV_HEADS * HEAD, WIDTH) * numpy.float16(4),
            place + "self_attn.v_proj.weight": matrix(KV_HEADS * HEAD, WIDTH),
            place + "self_attn.o_proj.weight": matrix(WIDTH, HEADS * HEAD, numpy.float32),
            place + "post_attention_layernorm.weight": norm(),
            place + "mlp.gate_proj.weight": matrix(FEED, WIDTH),
            place + "mlp.up_proj.weight": matrix(FEED, WIDTH),
            place + "mlp.down_proj.weight": matrix(WIDTH, FEED),
        }
    return first, second


def frequencies():
    inverse = THETA ** (-numpy.arange(0, HEAD, 2, dtype=numpy.float64) / HEAD)
    length = 2 * numpy.pi / inverse
    context, low, high = ROPE["original_max_position_embeddings"], ROPE["low_freq_factor"], ROPE["high_freq_factor"]
    smooth = (context / length - low) / (high - low)
    between = (1 - smooth) * inverse / ROPE["factor"] + smooth * inverse
    return numpy.where(length > context / low, inverse / ROPE["factor"], numpy.where(length < context / high, inverse, between))


def scores(tensors, ids):
    """Of what follows the last of them."""
    tensors = {name: tensor.astype(numpy.float64) for name, tensor in tensors.items()}
    count = len(ids)
    angles = numpy.arange(count)[:, None] * frequencies()
    cos, sin = (numpy.concatenate([of(angles)] * 2, axis=1)[:, None] for of in (numpy.cos, numpy.sin))

    def norm(x, name):
        return x / numpy.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * tensors[name]

    def rotated(x):
        halves = numpy.concatenate([-x[..., HEAD // 2 :], x[..., : HEAD // 2]], axis=-1)
        return x * cos + halves * sin

    hidden = tensors["model.embed_tokens.weight"][ids]
    for block in range(BLOCKS):
        place = f"model.layers.{block}."
        x = norm(hidden, place + "input_layernorm.weight")
        query, key, value = (
            (x @ tensors[f"{place}self_attn.{part}_proj.weight"].T).reshape(count, -1, HEAD) for part in "qkv"
        )
        query, key = rotated(query), rotated(key)
        key, value = (numpy.repeat(part, HEADS // KV_HEADS, axis=1) for part in (key, value))
        looks = numpy.einsum("qhd,khd->hqk", query, key) / numpy.sqrt(HEAD)
        looks = numpy.where(numpy.tril(numpy.ones((count, count), bool)), looks, -numpy.inf)
        looks = numpy.exp(looks - looks.max(-1, keepdims=True))
        looks /= looks.sum(-1, keepdims=True)
        mixed = numpy.einsum("hqk,khd->qhd", looks, value).reshape(count, -1)
        hidden = hidden + mixed @ tensors[place + "self_attn.o_proj.weight"].T
        x = norm(hidden, place + "post_attention_layernorm.weight")
        gate = x @ tensors[place + "mlp.gate_proj.weight"].T
        up = x @ tensors[place + "mlp.up_proj.weight"].T
        hidden = hidden + (gate / (1 + numpy.exp(-gate)) * up) @ tensors[place + "mlp.down_proj.weight"].T
    return norm(hidden[-1], "model.norm.weight") @ tensors["lm_head.weight"].T


here = Path(__file__).parent / "llama"
here.mkdir(exist_ok=True)
words = tokenizer()
words.save(str(here / "tokenizer.json"), pretty=False)
# More than there are words, as models have it.
vocabulary = words.get_vocab_size() + 3
parts = weights(vocabulary)
names = [f"model-0000{part}-of-00002.safetensors" for part in (1, 2)]
index = {}
for name, part in zip(names, parts):
    save_file(part, here / name, metadata={"format": "pt"})
    index |= dict.fromkeys(part, name)
config = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": WIDTH,
    "intermediate_size": FEED, "num_hidden_layers": BLOCKS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
    "max_position_embeddings": 512, "rms_norm_eps": EPSILON, "rope_theta": THETA, "rope_scaling": ROPE,
    "tie_word_embeddings": False, "vocab_size": vocabulary, "attention_bias": False, "mlp_bias": False,
}
said = {"bos_token": "<|begin|>", "eos_token": {"content": "<|end|>", "special": True}, "chat_template": TEMPLATE}
for name, content in [
    ("model.safetensors.index.json", {"metadata": {}, "weight_map": index}),
    ("config.json", config),
    ("tokenizer_config.json", said),
]:
    (here / name).write_text(json.dumps(content, indent=1) + "\n")

# Nothing that somebody writes is a mark.
plain = Tokenizer.from_str(json.dumps(json.loads(words.to_str()) | {"added_tokens": []}))
cases = []
for text in TEXTS:
    marks = {mark: words.token_to_id(mark) for mark in SPECIAL}
    ids = [marks["<|begin|>"], marks["<|user|>"], *plain.encode(text).ids, marks["<|end|>"], marks["<|assistant|>"]]
    cases.append({"text": text, "ids": ids, "scores": scores(parts[0] | parts[1], ids).tolist()})
(here.parent / "reference.json").write_text(json.dumps(cases) + "\n")
