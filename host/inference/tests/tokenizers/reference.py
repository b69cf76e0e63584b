"""What the models' own tokenizers make of awkward texts: the fixture beside this script.

    pip install sentencepiece==0.2.0 tokenizers==0.22.1
    python reference.py > reference.json

Trains a SentencePiece BPE model with bytes to fall back on, as Llama 2's is, and two byte-level ones with the splitting of Llama 3 and of
Mistral's Tekken, on the few lines below. Gives the vocabularies, and the ids of every text.
"""

import io
import json
import sys

import sentencepiece
import tokenizers
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

LINES = [
    "The host plans memory before it reads a single weight, and it says so when a model does not fit.",
    "Don't guess: they're wrong tokens, we've seen that, I'm sure it'll happen, he'd agree; it's so.",
    "DON'T SHOUT, THEY'RE LISTENING; WE'VE HEARD. It'S odd.",
    "In 1984 there were 123456 tokens; 3.14159 is not 2.71828, and 10,000 is 10000.",
    "def add(left, right):\n    return left + right\n\n\nfor index in range(10):\n\tprint(index)\n",
    "Größe und Länge sind nicht dasselbe. Où est l'été? El niño comió piñas.",
    "Спасибо, всё хорошо. 模型先计划内存，再读权重。 نموذج اللغة يقرأ الملف.",
    "camelCaseNames and snake_case_names, HTTPServer, a/b/c//d/ and https://example.org/path?query=1",
    "spaces  two   three    four     five        eight                end",
]
TEXTS = [
    "", " ", "  ", "   ", "a", " a", "a ", "  a  ", "\n", "\n\n", " \n", "\n ", "\t", "\t\tindex", "\r\n\r\nline",
    "The host plans memory.", "the  host   plans    memory", "                                  end",
    "Don't they're WE'VE I'M it'll HE'D It'S 'tis 'S", "don't'll", "it'\u017f long",
    "1", "12", "123", "1234", "1234567890", "3.14159,10,000", "a1b22c333d4444", "x = 10\n    return x + 1\n\n\n  y",
    "Größe Länge été niño", "e\u0301te\u0301 combining", "İstanbul ǅ ʰ", "🙂 👩‍👩‍👧 🇩🇪", "模型先计划内存，再读权重。", "你好，世界！123", "نموذج اللغة ١٢٣",
    "Спасибо, ВСЁ хорошо", "camelCaseNames HTTPServer iPhone", "a/b/c//d/\n/e", "!!! ??? ...\n\n--- ===", "\u0001\u0007\u001b[0m",
    "tab\there\nand\r\nthere ", "\u00a0nbsp\u2003em\u3000wide", "no\u200bwidth\ufeff", "<s> </s> <unk> <0x0A> <|eot_id|> [INST]", "Ⅷ ½ ² x²",
    "a" * 60, "ab " * 20, "\U0010ffff\ufffd", "    indented\n\n\n    twice", "print(index)\n\tprint(index) \n \n",
]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def sentence_pieces() -> dict:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in LINES for line in text.split("\n") if line),
        model_writer=out, model_type="bpe", vocab_size=460, byte_fallback=True, character_coverage=0.98,
        normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
        allow_whitespace_only_pieces=True, hard_vocab_limit=False, minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    ids = range(model.vocab_size())
    kind = lambda id: 2 if model.is_unknown(id) else 3 if model.is_control(id) else 6 if model.is_byte(id) else 1
    return {
        "tokens": [model.id_to_piece(id) for id in ids],
        "scores": [model.get_score(id) for id in ids],
        "types": [kind(id) for id in ids],
        "bos": model.bos_id(),
        "eos": model.eos_id(),
        "ids": [model.encode(text) for text in TEXTS],
    }


def byte_level(expression: str) -> dict:
    model = Tokenizer(models.BPE(ignore_merges=True))
    model.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(expression), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    trainer = trainers.BpeTrainer(vocab_size=480, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    model.train_from_iterator(LINES, trainer)
    made = json.loads(model.to_str())["model"]
    tokens = sorted(made["vocab"], key=made["vocab"].get)
    # Words that no merges lead to, which are taken whole all the same.
    for word in ["Ġindented", "Spas", "1234", "123"]:
        if word not in made["vocab"]:
            made["vocab"][word] = len(tokens)
            tokens.append(word)
    made["type"] = "BPE"
    whole = json.loads(model.to_str())
    whole["model"] = made
    model = Tokenizer.from_str(json.dumps(whole))
    return {
        "tokens": tokens,
        "merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in made["merges"]],
        "ids": [model.encode(text, add_special_tokens=False).ids for text in TEXTS],
    }


json.dump(
    {
        "sentencepiece": sentencepiece.__version__,
        "tokenizers": tokenizers.__version__,
        "texts": TEXTS,
        "llama": sentence_pieces(),
        "llama-bpe": byte_level(LLAMA3),
        "tekken": byte_level(TEKKEN),
    },
    sys.stdout,
    ensure_ascii=True,
)
print()
