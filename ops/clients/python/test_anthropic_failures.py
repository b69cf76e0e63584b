"""What goes wrong arrives as the exceptions of Anthropic's client."""

import anthropic as library
import httpx2
import pytest

import targets

MESSAGES = [{"role": "user", "content": "One two three four five six seven eight"}]


def ask(client, model: str, **wish):
    return client.messages.create(**({"model": model, "max_tokens": 100, "messages": MESSAGES} | wish))


def shape_of(error: library.APIStatusError, kind: str) -> None:
    """Anthropic's error object, and the id by which an operator finds the request."""
    assert error.body["type"] == "error"
    assert error.type == kind
    assert error.api_message
    assert error.request_id, "the header `request-id` is missing"


@pytest.fixture
def client(target):
    with target.anthropic() as client:
        yield client


@pytest.fixture
def broken(target, client, upstream):
    """Make the provider fail the next request for the model that this returns."""

    def arm(fault: str) -> str:
        model = target.model("mock-chat", "claude")
        for _ in range(targets.GOOD_ANSWERS if target.is_host else 0):
            ask(client, model)
        upstream.fail_next(fault)
        return model

    return arm


def test_an_answer_names_its_request(client, target):
    assert ask(client, target.model("mock-chat", "claude"))._request_id


def test_an_empty_conversation_is_a_bad_request(client, target):
    with pytest.raises(library.BadRequestError) as raised:
        ask(client, target.model("mock-chat", "claude"), messages=[])
    shape_of(raised.value, "invalid_request_error")
    assert "messages" in raised.value.api_message


def test_a_wrong_key_is_an_authentication_error(target):
    with target.anthropic(key="sk-bad") as client, pytest.raises(library.AuthenticationError) as raised:
        ask(client, target.model("mock-chat", "claude"))
    assert raised.value.type == "authentication_error"


def test_an_unknown_model_is_not_found(client, target):
    with pytest.raises(library.NotFoundError) as raised:
        ask(client, target.model("missing-model", "claude"))
    shape_of(raised.value, "not_found_error")


@pytest.mark.parametrize("stream", [False, True])
def test_the_provider_s_rate_limit_says_when_to_come_back(client, broken, stream):
    model = broken("429=7")
    with pytest.raises(library.RateLimitError) as raised:
        ask(client, model, stream=stream)
    assert raised.value.type == "rate_limit_error"
    assert raised.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize(("fault", "at_the_host"), [("500", (502, 503)), ("503", (503,)), ("529", (503, 529))])
def test_the_provider_s_failure_is_a_server_error(client, target, broken, fault, at_the_host):
    model = broken(fault)
    with pytest.raises(library.InternalServerError) as raised:
        ask(client, model)
    assert raised.value.status_code in (at_the_host if target.is_host else (int(fault),))
    assert raised.value.type in ("api_error", "overloaded_error")


@pytest.mark.parametrize("fault", ["cut", "stream-error", "malformed"])
def test_a_stream_that_breaks_off_raises_and_never_stops_in_order(client, broken, fault):
    model = broken(fault)
    kinds = []
    # The client lets a broken connection and JSON that does not parse through as they are.
    with pytest.raises((library.APIError, httpx2.TransportError, ValueError)):
        for event in ask(client, model, stream=True):
            kinds.append(event.type)
    assert kinds[0] == "message_start"
    assert "message_delta" not in kinds and "message_stop" not in kinds


@pytest.mark.parametrize("target", ["host"], indirect=True)
def test_a_body_above_the_route_s_limit_is_too_large(client):
    with pytest.raises(library.APIStatusError) as raised:
        ask(client, "claude/mock-chat", messages=[{"role": "user", "content": "word " * (21 << 18)}])
    assert raised.value.status_code == 413
    shape_of(raised.value, "request_too_large")
