import base64
import struct

import pytest

MODEL = "text-embedding-3-small"
TEXTS = ["A sandbox holds.", "A door opens."]


def test_vectors_come_as_numbers_or_as_their_bytes_and_are_the_same(openai, target):
    model = target.model(MODEL)
    numbers = openai.embeddings.create(model=model, input=TEXTS, encoding_format="float")
    packed = openai.embeddings.create(model=model, input=TEXTS, encoding_format="base64")
    # Without a format the client asks for bytes and unpacks them by itself.
    usual = openai.embeddings.create(model=model, input=TEXTS)
    assert (numbers.object, numbers.model) == ("list", model)
    assert [entry.index for entry in numbers.data] == [0, 1]
    assert {entry.object for entry in numbers.data} == {"embedding"}
    assert numbers.data[0].embedding != numbers.data[1].embedding
    for plain, encoded, decoded in zip(numbers.data, packed.data, usual.data, strict=True):
        assert len(plain.embedding) == 1536
        unpacked = struct.unpack("<1536f", base64.b64decode(encoded.embedding))
        assert plain.embedding == pytest.approx(unpacked, abs=1e-7)
        assert decoded.embedding == pytest.approx(plain.embedding, abs=1e-7)
    assert numbers.usage.prompt_tokens == numbers.usage.total_tokens == 6


@pytest.mark.parametrize("dimensions", [1, 256])
def test_dimensions_can_be_chosen(openai, target, dimensions):
    answer = openai.embeddings.create(model=target.model(MODEL), input="Hello", dimensions=dimensions)
    assert len(answer.data[0].embedding) == dimensions


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2, 3], [4, 5]]])
def test_inputs_may_be_tokens(openai, target, tokens):
    answer = openai.embeddings.create(model=target.model(MODEL), input=tokens, dimensions=8)
    assert len(answer.data) == (len(tokens) if isinstance(tokens[0], list) else 1)
