"""The in-house encoder, `local/all-minilm-l6-v2`, whose weights are fetched when it is first asked."""

import base64
import struct

import openai as library
import pytest

MODEL = "local/all-minilm-l6-v2"
DIMENSIONS = 384
TOKENS_MAX = 256
FETCH_TIMEOUT_S = 900.0

SENTENCES = [
    "A man is playing a guitar.",
    "Someone plays a musical instrument.",
    "The stock market fell sharply today.",
    "Shares lost much of their value this morning.",
]
PARAPHRASES = {0: 1, 1: 0, 2: 3, 3: 2}


@pytest.fixture(scope="module")
def client(host):
    with host.openai() as client:
        yield client.with_options(timeout=FETCH_TIMEOUT_S)


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_each_text_is_nearest_to_its_paraphrase(client):
    answer = client.embeddings.create(model=MODEL, input=SENTENCES)
    vectors = [entry.embedding for entry in answer.data]
    for index, vector in enumerate(vectors):
        assert len(vector) == DIMENSIONS
        assert dot(vector, vector) == pytest.approx(1, abs=1e-5)
        others = {other: dot(vector, vectors[other]) for other in range(len(vectors)) if other != index}
        assert max(others, key=others.get) == PARAPHRASES[index], others


def test_numbers_and_bytes_are_the_same_vector(client):
    numbers = client.embeddings.create(model=MODEL, input=SENTENCES[0], encoding_format="float")
    packed = client.embeddings.create(model=MODEL, input=SENTENCES[0], encoding_format="base64")
    unpacked = struct.unpack(f"<{DIMENSIONS}f", base64.b64decode(packed.data[0].embedding))
    assert numbers.data[0].embedding == pytest.approx(unpacked, abs=1e-7)


def test_tokens_count_exactly_and_mean_what_their_text_means(client):
    # [CLS] hello world [SEP]
    text = client.embeddings.create(model=MODEL, input="hello world")
    assert text.usage.prompt_tokens == text.usage.total_tokens == 4
    for tokens in ([7592, 2088], [101, 7592, 2088, 102]):
        answer = client.embeddings.create(model=MODEL, input=tokens)
        assert answer.usage.prompt_tokens == 4
        assert answer.data[0].embedding == pytest.approx(text.data[0].embedding, abs=1e-6)


def test_a_ragged_batch_is_what_its_texts_are_alone(client):
    texts = ["short", "word " * 200, SENTENCES[0], "x"] * 16
    batch = client.embeddings.create(model=MODEL, input=texts)
    for index in range(4):
        alone = client.embeddings.create(model=MODEL, input=texts[index])
        for entry in batch.data[index::4]:
            assert entry.embedding == pytest.approx(alone.data[0].embedding, abs=1e-5)


@pytest.mark.parametrize(
    ("request_", "param", "says"),
    [
        ({"input": "x", "dimensions": 128}, "dimensions", str(DIMENSIONS)),
        ({"input": ["x", "word " * 300]}, "input", str(TOKENS_MAX)),
        ({"input": ["x", ""]}, "input", "empty"),
        ({"input": []}, "input", "2048"),
        ({"input": ["x"] * 2049}, "input", "2048"),
        ({"input": [30522]}, "input", "vocabulary"),
    ],
    ids=["dimensions", "too-long", "empty", "none", "too-many", "unknown-token"],
)
def test_what_it_cannot_do_is_refused_with_the_reason(client, request_, param, says):
    with pytest.raises(library.BadRequestError) as refused:
        client.embeddings.create(model=MODEL, **request_)
    assert refused.value.param.startswith(param)
    assert says in refused.value.message


def test_a_long_text_is_cut_where_that_is_wished(client):
    answer = client.embeddings.create(
        model=MODEL, input="word " * 300, extra_body={"options": {"truncate": True}}
    )
    assert answer.usage.prompt_tokens == TOKENS_MAX


def test_it_is_listed_with_what_it_does(host_openai, raw):
    assert MODEL in [model.id for model in host_openai.models.list()]
    model = raw.get(f"/v1/models/{MODEL}")
    assert model.status_code == 200, model.text
    assert (model.json()["tasks"], model.json()["context_window"]) == (["embedding"], TOKENS_MAX)
