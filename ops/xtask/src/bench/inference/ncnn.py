"""One pass of ncnn: MODEL_FOLDER THREADS. Prints what `speed upscale` prints, of a picture of 256 × 256 in 32-bit floats."""

import pathlib
import statistics
import sys
import time

import ncnn
import numpy

SIDE, ROUNDS = 256, 7

folder, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2])
net = ncnn.Net()
net.opt.use_vulkan_compute = False
net.opt.num_threads = threads
for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
    setattr(net.opt, option, False)
assert net.load_param(str(folder / "model.param")) == 0
assert net.load_model(str(folder / "model.bin")) == 0

at = numpy.arange(SIDE * SIDE * 3)
picture = (at * at // 97 % 256).reshape(SIDE, SIDE, 3).astype(numpy.uint8)


def upscale():
    """From bytes to bytes, as ours does."""
    values = numpy.ascontiguousarray(picture.transpose(2, 0, 1).astype(numpy.float32) / numpy.float32(255))
    with net.create_extractor() as extractor:
        extractor.input("data", ncnn.Mat(values))
        _, out = extractor.extract("output")
        larger = (numpy.array(out).transpose(1, 2, 0) * 255 + 0.5).clip(0, 255).astype(numpy.uint8)
    assert larger.shape == (2 * SIDE, 2 * SIDE, 3)


upscale()
seconds = []
for _ in range(ROUNDS):
    started = time.perf_counter()
    upscale()
    seconds.append(time.perf_counter() - started)
print(f"pixels={SIDE * SIDE / statistics.median(seconds):.0f}")
