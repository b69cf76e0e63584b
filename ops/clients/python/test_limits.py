"""The host's own rate limits. The configuration gives the class `analysis` a small one."""

import uuid
from dataclasses import replace

import openai as library
import pytest

REQUESTS_MAX = 1000


@pytest.fixture
def newcomer(host, raw):
    """A user whose limits nobody has used yet."""
    name = f"newcomer-{uuid.uuid4().hex[:12]}"
    made = raw.post("/api/v1/users", json={"name": name})
    assert made.status_code == 201, made.text
    key = raw.post("/api/v1/keys", json={"name": "suite", "user": name, "scopes": ["read", "generate"]})
    assert key.status_code == 201, key.text
    with replace(host, key=key.json()["secret"]).openai() as client:
        yield client


def embed(client):
    return client.embeddings.with_raw_response.create(
        model="mock/text-embedding-3-small", input="Hello", dimensions=1
    )


def test_a_caller_over_the_limit_is_told_so_and_when_to_come_back(newcomer):
    first = embed(newcomer).headers
    limit = int(first["x-ratelimit-limit-requests"])
    assert limit < REQUESTS_MAX
    assert int(first["x-ratelimit-remaining-requests"]) == limit - 1
    for left in reversed(range(limit - 1)):
        assert int(embed(newcomer).headers["x-ratelimit-remaining-requests"]) == left
    with pytest.raises(library.RateLimitError) as raised:
        embed(newcomer)
    error, headers = raised.value, raised.value.response.headers
    assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert error.request_id
    assert 0 < int(headers["retry-after"]) <= 3600
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["ratelimit"].startswith('"analysis";r=0;t=')
    assert headers["ratelimit-policy"] == f'"analysis";q={limit};w=3600'


def test_one_caller_s_limit_is_not_another_s(newcomer, host_openai):
    limit = int(embed(newcomer).headers["x-ratelimit-limit-requests"])
    for _ in range(limit - 1):
        embed(newcomer)
    with pytest.raises(library.RateLimitError):
        embed(newcomer)
    assert embed(host_openai).parse().data
    # Another class of routes has its own.
    assert newcomer.chat.completions.create(
        model="mock/mock-chat", messages=[{"role": "user", "content": "Hello"}]
    ).choices
