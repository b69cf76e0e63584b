"""Writes `reference.json`: random blocks of every quantised encoding, and their values by ggml's own Python package.

    pip install gguf && python reference.py > reference.json
"""

import json

import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

random = numpy.random.default_rng(7)
# Where the 16-bit scales of a block are.
scales = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
out = {}
for name, places in scales.items():
    size = GGML_QUANT_SIZES[Type[name]][1]
    block = random.integers(0, 256, size, dtype=numpy.uint8)
    for place in places:
        block[place : place + 2] = numpy.frombuffer(numpy.float16(random.uniform(-0.05, 0.05)).tobytes(), numpy.uint8)
    values = dequantize(block, Type[name])
    out[name] = {"bytes": block.tolist(), "values": [float(value) for value in values]}
print(json.dumps(out))
