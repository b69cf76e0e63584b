"""What goes wrong arrives as the client's own exceptions, with a code that says whose fault it is."""

import openai as library
import pytest

MESSAGES = [{"role": "user", "content": "One two three four five six seven eight"}]


def ask(client, model: str, **wish):
    return client.chat.completions.create(model=model, messages=MESSAGES, **wish)


def shape_of(error: library.APIStatusError) -> None:
    """OpenAI's error object, and the id by which an operator finds the request."""
    assert set(error.body) >= {"message", "type", "param", "code"}
    assert error.message and error.request_id


def test_an_empty_conversation_is_a_bad_request(openai, target):
    with pytest.raises(library.BadRequestError) as raised:
        openai.chat.completions.create(model=target.model("mock-chat"), messages=[])
    shape_of(raised.value)
    assert (raised.value.param, raised.value.type) == ("messages", "invalid_request_error")


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_key_is_an_authentication_error(target, stream):
    with target.openai(key="sk-bad") as client, pytest.raises(library.AuthenticationError) as raised:
        ask(client, target.model("mock-chat"), stream=stream)
    assert raised.value.code == "invalid_api_key"
    if target.is_host:
        shape_of(raised.value)
        assert raised.value.response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_is_not_found(openai, target, stream):
    with pytest.raises(library.NotFoundError) as raised:
        ask(openai, target.model("missing-model"), stream=stream)
    shape_of(raised.value)
    assert raised.value.code == "model_not_found"


def test_a_body_above_the_route_s_limit_is_too_large(host_openai):
    with pytest.raises(library.APIStatusError) as raised:
        host_openai.embeddings.create(model="mock/text-embedding-3-small", input="word " * 400_000)
    assert raised.value.status_code == 413
    shape_of(raised.value)
    assert raised.value.code == "request_too_large"
    assert "1048576" in raised.value.message


@pytest.mark.parametrize("stream", [False, True])
def test_the_provider_s_rate_limit_is_told_apart_from_the_host_s(openai, target, spoil, stream):
    model = spoil("429=7")
    with pytest.raises(library.RateLimitError) as raised:
        ask(openai, model, stream=stream)
    shape_of(raised.value)
    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.code == ("provider_rate_limited" if target.is_host else "rate_limit_exceeded")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [500, 503])
def test_the_provider_s_failure_is_a_server_error(openai, target, spoil, status, stream):
    model = spoil(str(status))
    with pytest.raises(library.InternalServerError) as raised:
        ask(openai, model, stream=stream)
    shape_of(raised.value)
    if target.is_host:
        # A gateway's status, and a code that names the provider.
        assert raised.value.status_code in ((503,) if status == 503 else (502, 503))
        assert raised.value.code.startswith("provider_")
    else:
        assert raised.value.status_code == status


@pytest.mark.parametrize("target", ["host"], indirect=True)
def test_a_provider_that_refuses_the_operator_s_key_is_not_the_caller_s_fault(openai, spoil):
    model = spoil("echo-error")
    with pytest.raises(library.InternalServerError) as raised:
        ask(openai, model)
    assert (raised.value.status_code, raised.value.code) == (502, "provider_auth_failed")
    assert "sk-" not in raised.value.message, "the operator's key is told"
    assert raised.value.response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("fault", ["cut", "malformed", "stream-error"])
def test_a_stream_that_breaks_off_raises_and_never_finishes(openai, spoil, fault):
    model = spoil(fault)
    reasons, text = [], ""
    with pytest.raises((library.APIError, ValueError)):
        for chunk in ask(openai, model, stream=True):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasons += [choice.finish_reason] if choice.finish_reason else []
    assert reasons == [], "a broken stream has no finish reason"
    assert text.startswith("Hello"), "what came before the break is delivered"


@pytest.mark.parametrize("fault", ["cut", "malformed", "stream-error"])
@pytest.mark.parametrize("target", ["host"], indirect=True)
def test_the_host_ends_a_broken_stream_with_an_error_and_without_done(raw, spoil, fault):
    model = spoil(fault)
    body = {"model": model, "messages": MESSAGES, "stream": True}
    answer = raw.post("/v1/chat/completions", json=body)
    events = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    assert '"error"' in events[-1]
    assert '"code":"provider_' in events[-1].replace(": ", ":")
    assert "data: [DONE]" not in events


@pytest.mark.parametrize("fault", ["cut", "malformed"])
def test_a_whole_answer_that_breaks_off_is_an_error(openai, target, spoil, fault):
    model = spoil(fault)
    expected = (library.InternalServerError,) if target.is_host else (library.APIError, ValueError)
    with pytest.raises(expected) as raised:
        ask(openai, model)
    if target.is_host:
        assert raised.value.status_code in (502, 503)
        shape_of(raised.value)
