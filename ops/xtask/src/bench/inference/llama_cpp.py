"""One pass of llama.cpp: FILE.gguf THREADS PROMPT_TOKENS ANSWER_TOKENS. Prints what `speed chat` prints."""

import sys
import time

import numpy
from llama_cpp import Llama

file, threads, prompt, answer = sys.argv[1], *map(int, sys.argv[2:])
model = Llama(
    file, n_ctx=prompt + answer + 8, n_batch=512, n_ubatch=512, n_threads=threads, n_threads_batch=threads, verbose=False
)
tokens = [1000 + at * 7 % 20_000 for at in range(prompt)]
model.eval(tokens[:64])
model.reset()

started = time.perf_counter()
model.eval(tokens)
prefill = prompt / (time.perf_counter() - started)

started = time.perf_counter()
for _ in range(answer):
    scores = model._ctx.get_logits_ith(-1)
    best = int(numpy.ctypeslib.as_array(scores, shape=(model.n_vocab(),)).argmax())
    model.eval([best])
decode = answer / (time.perf_counter() - started)
print(f"prefill={prefill:.2f} decode={decode:.2f}")
