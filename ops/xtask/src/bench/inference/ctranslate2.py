"""One pass of CTranslate2: MODEL_FOLDER RECORDING.wav THREADS. Prints what `speed transcribe` prints, in 32-bit floats.

The spectrogram is made once and is not counted: CTranslate2 leaves it to others.
"""

import json
import pathlib
import statistics
import sys
import tempfile
import time
import wave

import ctranslate2
import numpy

START, ROUNDS, RATE, WINDOW = 50257, 5, 16_000, 30 * 16_000
BANDS, FRAME, HOP = 80, 400, 160


def filters():
    """Triangles over the bins of a frame, evenly spaced in mel (Slaney, Auditory Toolbox: linear to 1 kHz, then 27 to a factor of 6.4)."""
    def hertz(mel):
        return numpy.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))

    top = 15 + 27 * numpy.log(8000 / 1000) / numpy.log(6.4)
    edges = hertz(numpy.linspace(0, top, BANDS + 2))
    bins = numpy.linspace(0, RATE / 2, FRAME // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return numpy.maximum(0, numpy.minimum(rising, falling)) * 2 / (high - low)


def spectrogram(samples):
    padded = numpy.pad(samples, FRAME // 2, mode="reflect")
    frames = numpy.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP][:-1]
    window = 0.5 - 0.5 * numpy.cos(2 * numpy.pi * numpy.arange(FRAME) / FRAME)
    power = numpy.abs(numpy.fft.rfft(frames * window)) ** 2
    logs = numpy.log10(numpy.maximum(filters() @ power.T, 1e-10))
    return ((numpy.maximum(logs, logs.max() - 8) + 4) / 4).astype(numpy.float32)


def link_with_words(folder, place):
    """The model's files, and its words in a file of their own as CTranslate2 wants them."""
    for name in ["model.bin", "config.json"]:
        (place / name).symlink_to((folder / name).resolve())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    words = dict(tokenizer["model"]["vocab"]) | {added["content"]: added["id"] for added in tokenizer["added_tokens"]}
    words = sorted(words, key=words.get)
    # The tokenizer has no moments; they are the last words, 0.00 to 30.00 in steps of 0.02.
    words += [f"<|{at / 50:.2f}|>" for at in range(1501) if f"<|{at / 50:.2f}|>" not in words]
    (place / "vocabulary.json").write_text(json.dumps(words))


folder, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
with wave.open(path) as file:
    every = file.getframerate() // RATE
    assert (every * RATE, file.getsampwidth()) == (file.getframerate(), 2)
    samples = numpy.frombuffer(file.readframes(file.getnframes()), "<i2")[:: file.getnchannels()]
samples = samples[: WINDOW * every].reshape(WINDOW, every).mean(1).astype(numpy.float32) / 32768
features = ctranslate2.StorageView.from_array(spectrogram(samples)[None])
with tempfile.TemporaryDirectory() as place:
    link_with_words(pathlib.Path(folder), pathlib.Path(place))
    model = ctranslate2.models.Whisper(place, compute_type="float32", inter_threads=1, intra_threads=threads)
seconds = []
for _ in range(ROUNDS + 1):
    started = time.perf_counter()
    result = model.generate(features, [[START]], beam_size=1, max_length=224)[0]
    seconds.append(time.perf_counter() - started)
print(f"windows={1 / statistics.median(seconds[1:]):.3f} tokens={len(result.sequences_ids[0])}")
