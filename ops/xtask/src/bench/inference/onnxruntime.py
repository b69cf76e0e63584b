"""One pass of onnxruntime: FOLDER THREADS TEXTS.json. Prints what `speed embed` prints.

The graph is written here from the model's own weights, 32-bit, and optimised by onnxruntime itself. Texts are sorted by length
before they are batched and padded, as sentence-transformers does.
"""

import json
import math
import statistics
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

BATCHES = {"single": 1, "batched": 32}
ROUNDS = 3


class Graph:
    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], []

    def op(self, kind, *inputs, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, name):
        return self.constant(self.weights[name])

    def linear(self, x, name):
        product = self.op("MatMul", x, self.constant(np.ascontiguousarray(self.weights[f"{name}.weight"].T)))
        return self.op("Add", product, self.weight(f"{name}.bias"))

    def norm(self, x, name, epsilon):
        return self.op("LayerNormalization", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), axis=-1, epsilon=epsilon)


def build(folder):
    config = json.load(open(f"{folder}/config.json"))
    width, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
    g = Graph(load_file(f"{folder}/model.safetensors"))
    places = g.op("Slice", g.constant(g.weights["embeddings.position_embeddings.weight"]), g.constant([0]),
                  g.op("Slice", g.op("Shape", "ids"), g.constant([1]), g.constant([2])), g.constant([0]))
    x = g.op("Gather", g.weight("embeddings.word_embeddings.weight"), "ids")
    x = g.op("Add", g.op("Add", x, places), g.constant(g.weights["embeddings.token_type_embeddings.weight"][0]))
    x = g.norm(x, "embeddings.LayerNorm", epsilon)
    floats = g.op("Cast", "mask", to=TensorProto.FLOAT)
    hidden = g.op("Mul", g.op("Sub", g.constant(np.float32(1)), floats), g.constant(np.float32(-1e9)))
    hidden = g.op("Unsqueeze", hidden, g.constant([1, 2]))

    def split(rows, last):
        rows = g.op("Reshape", rows, g.constant([0, 0, heads, width // heads]))
        return g.op("Transpose", rows, perm=[0, 2, 3, 1] if last else [0, 2, 1, 3])

    for block in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{block}"
        query, key, value = (g.linear(x, f"{layer}.attention.self.{part}") for part in ("query", "key", "value"))
        scores = g.op("MatMul", split(query, False), split(key, True))
        scores = g.op("Div", scores, g.constant(np.float32(math.sqrt(width // heads))))
        shares = g.op("Softmax", g.op("Add", scores, hidden), axis=-1)
        mixed = g.op("Transpose", g.op("MatMul", shares, split(value, False)), perm=[0, 2, 1, 3])
        mixed = g.op("Reshape", mixed, g.constant([0, 0, width]))
        mixed = g.linear(mixed, f"{layer}.attention.output.dense")
        x = g.norm(g.op("Add", mixed, x), f"{layer}.attention.output.LayerNorm", epsilon)
        fed = g.linear(g.op("Gelu", g.linear(x, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
        x = g.norm(g.op("Add", fed, x), f"{layer}.output.LayerNorm", epsilon)
    column = g.op("Unsqueeze", floats, g.constant([2]))
    mean = g.op("Div", g.op("ReduceSum", g.op("Mul", x, column), g.constant([1]), keepdims=0),
                g.op("ReduceSum", column, g.constant([1]), keepdims=0))
    g.nodes.append(helper.make_node("LpNormalization", [mean], ["vectors"], axis=-1, p=2))
    tokens = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in ("ids", "mask")]
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", width])
    graph = helper.make_graph(g.nodes, "bert", tokens, [vectors], g.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def main(folder, threads, texts):
    texts = json.load(open(texts))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    session = onnxruntime.InferenceSession(build(folder).SerializeToString(), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))

    def run(batch):
        vectors = [None] * len(texts)
        for start in range(0, len(order), batch):
            chosen = order[start:start + batch]
            encoded = tokenizer.encode_batch([texts[index] for index in chosen])
            ids = np.array([entry.ids for entry in encoded], dtype=np.int64)
            mask = np.array([entry.attention_mask for entry in encoded], dtype=np.int64)
            for index, vector in zip(chosen, session.run(None, {"ids": ids, "mask": mask})[0]):
                vectors[index] = vector
        return np.array(vectors)

    found = [run(batch) for batch in BATCHES.values()]
    difference = np.abs(found[0] - found[1]).max()
    assert difference < 1e-5, f"a text's vector is another beside others: {difference}"
    for name, batch in BATCHES.items():
        seconds = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            run(batch)
            seconds.append(time.perf_counter() - begun)
        print(f"{name}={len(texts) / statistics.median(seconds):.2f}")


main(*sys.argv[1:4])
