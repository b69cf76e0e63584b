"""What llama.cpp computes with SmolLM2: the fixture beside this script.

    pip install llama-cpp-python==0.3.36
    python reference.py SmolLM2-135M-Instruct.Q4_1.gguf > reference.json

The weights are written out as 32-bit floats first, and so are multiplied with activations that nobody rounded; a second column is from
the file as it is, whose products llama.cpp makes in 8 bits. Keys and values are 32-bit floats in both. For each text: its tokens, and the log probabilities of the likeliest tokens
after the last of them.
"""

import ctypes
import json
import sys
import tempfile
from pathlib import Path

import llama_cpp
import numpy

TOP = 12
TEXTS = [
    "The Eiffel Tower is in",
    "Water boils at one hundred degrees",
    "def add(a, b):\n    return",
    "She opened the door and saw that the room was empty. The window was open, the curtains moved, and on the table lay a",
    "1, 2, 3, 4, 5,",
    "Größe und Länge sind nicht",
]


def log_probabilities(path: str) -> list[tuple[list[int], numpy.ndarray]]:
    floats = {"type_k": llama_cpp.GGML_TYPE_F32, "type_v": llama_cpp.GGML_TYPE_F32}
    model = llama_cpp.Llama(path, n_threads=2, n_ctx=256, logits_all=True, verbose=False, **floats)
    found = []
    for text in TEXTS:
        tokens = model.tokenize(text.encode(), add_bos=False, special=False)
        model.reset()
        model.eval(tokens)
        logits = model.scores[len(tokens) - 1].astype(numpy.float64)
        found.append((tokens, logits - numpy.log(numpy.exp(logits - logits.max()).sum()) - logits.max()))
    return found


def main(path: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        floats = str(Path(folder) / "f32.gguf")
        parameters = llama_cpp.llama_model_quantize_default_params()
        parameters.ftype = llama_cpp.LLAMA_FTYPE_ALL_F32
        parameters.allow_requantize = True
        done = llama_cpp.llama_model_quantize(path.encode(), floats.encode(), ctypes.byref(parameters))
        assert done == 0, done
        exact = log_probabilities(floats)
    fast = log_probabilities(path)
    cases = []
    for text, (tokens, wanted), (_, rounded) in zip(TEXTS, exact, fast, strict=True):
        top = [int(token) for token in numpy.argsort(-wanted)[:TOP]]
        case = {"text": text, "tokens": [int(token) for token in tokens], "top": top}
        case["exact"] = [round(float(wanted[token]), 6) for token in top]
        case["fast"] = [round(float(rounded[token]), 6) for token in top]
        cases.append(case)
    json.dump({"llama_cpp": llama_cpp.__version__, "cases": cases}, sys.stdout, indent=1, ensure_ascii=False)
    print()


main(sys.argv[1])
