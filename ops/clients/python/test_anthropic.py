"""Anthropic's client: any provider's chat models through its API."""

import json

import pytest
from pydantic import BaseModel

QUESTION = "How does a sandbox keep what it holds from reaching the rest?"
ANSWER = f"Hello from the mock: {QUESTION}"
MESSAGES = [{"role": "user", "content": QUESTION}]


class Place(BaseModel):
    city: str
    days: int


@pytest.fixture(params=["claude", "mock"])
def model(target, request):
    """A model of Anthropic's own API, and one of OpenAI's; at the mock there is only the former."""
    return target.model("mock-chat", request.param)


@pytest.fixture
def client(target):
    with target.anthropic() as client:
        yield client


def test_a_plain_message_has_text_usage_and_a_reason_for_its_end(client, model):
    message = client.messages.create(model=model, max_tokens=100, messages=MESSAGES)
    assert (message.type, message.role, message.model) == ("message", "assistant", model)
    assert message.id.startswith("msg_")
    (block,) = message.content
    assert (block.type, block.text) == ("text", ANSWER)
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    words = len(QUESTION.split())
    assert (message.usage.input_tokens, message.usage.output_tokens) == (words, words + 4)


def test_a_stream_goes_through_its_events_in_order(client, model):
    events = list(client.messages.create(model=model, max_tokens=100, messages=MESSAGES, stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert kinds.count("content_block_start") == 1
    assert kinds.count("content_block_delta") > 1
    start, end = events[0].message, events[-2]
    assert (start.model, start.content, start.stop_reason) == (model, [], None)
    assert end.delta.stop_reason == "end_turn"
    assert end.usage.output_tokens == len(ANSWER.split())
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    assert "".join(delta.text for delta in deltas) == ANSWER


def test_the_client_s_stream_helper_puts_the_message_together(client, model):
    with client.messages.stream(model=model, max_tokens=100, messages=MESSAGES) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == message.content[0].text == ANSWER
    assert message.stop_reason == "end_turn"
    words = len(QUESTION.split())
    assert (message.usage.input_tokens, message.usage.output_tokens) == (words, words + 4)


def test_a_bounded_message_says_that_it_was_cut_short(client, model):
    message = client.messages.create(model=model, max_tokens=2, messages=MESSAGES)
    assert message.stop_reason == "max_tokens"
    assert message.content[0].text.split() == ["Hello", "from"]


def test_a_stop_sequence_ends_the_message_and_is_named(client, target, model):
    message = client.messages.create(model=model, max_tokens=100, messages=MESSAGES, stop_sequences=["mock"])
    assert message.content[0].text == "Hello from the "
    # OpenAI's API does not say which sequence it met, so that only Anthropic's models can tell.
    if not model.startswith("mock/"):
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "mock")


INSTRUCTIONS = [
    "Be brief.",
    [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
]


@pytest.mark.parametrize("system", INSTRUCTIONS, ids=["text", "cached block"])
def test_instructions_reach_the_model(client, model, upstream, system):
    client.messages.create(model=model, max_tokens=100, messages=MESSAGES, system=system)
    assert "Be brief." in upstream.last_request()["body"]


def test_an_answer_follows_a_schema_and_is_parsed(client, model):
    message = client.messages.parse(model=model, max_tokens=100, messages=MESSAGES, output_format=Place)
    assert message.parsed_output == Place(city="Paris", days=1)


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_comes_with_its_signature_before_the_text(client, target, stream):
    wish = {
        "model": target.model("mock-chat", "claude"),
        "max_tokens": 4096,
        "messages": MESSAGES,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    if stream:
        with client.messages.stream(**wish) as events:
            message = events.get_final_message()
    else:
        message = client.messages.create(**wish)
    thinking, text = message.content
    assert (thinking.type, text.type) == ("thinking", "text")
    assert thinking.thinking == f"The user wrote: {QUESTION}"
    assert thinking.signature
    # It goes back as it came: the provider checks the signature.
    turns = [*MESSAGES, {"role": "assistant", "content": message.content}, {"role": "user", "content": "Go on"}]
    assert client.messages.create(**(wish | {"messages": turns})).content[-1].text == "Hello from the mock: Go on"


# Members of the request as the client documents them, beside those that other tests send.
DOCUMENTED = {
    "cache_control": {"type": "ephemeral"},
    "inference_geo": "us",
    "metadata": {"user_id": "user-1"},
    "output_config": {"effort": "low"},
    "service_tier": "auto",
    "thinking": {"type": "adaptive"},
}


@pytest.mark.parametrize("member", DOCUMENTED)
def test_a_documented_member_is_taken(client, target, member):
    wish = {member: DOCUMENTED[member]}
    message = client.messages.create(
        model=target.model("mock-chat", "claude"), max_tokens=4096, messages=MESSAGES, extra_body=wish
    )
    assert message.content[-1].text == ANSWER


@pytest.mark.parametrize("target", ["mock"], indirect=True)
def test_tokens_are_counted_without_an_answer(client):
    count = client.messages.count_tokens(model="mock-chat", messages=MESSAGES)
    assert count.input_tokens == len(QUESTION.split())


def test_a_key_may_come_as_a_bearer_token_too(target, model):
    with target.anthropic() as client:
        with client.with_options(api_key=None, auth_token=target.key) as bearer:
            message = bearer.messages.create(model=model, max_tokens=100, messages=MESSAGES)
    assert json.loads(message.to_json())["content"][0]["text"] == ANSWER


def test_tokens_are_counted_before_a_message_is_sent(client, model):
    def count(text, **more):
        messages = [{"role": "user", "content": text}]
        return client.messages.count_tokens(model=model, messages=messages, **more).input_tokens

    assert count(QUESTION) > 0
    assert count(f"{QUESTION} {QUESTION}") > count(QUESTION)
    assert count(QUESTION, system="Be brief, and say only what you are sure of.") >= count(QUESTION)


def test_a_provider_that_counts_is_asked(host, upstream):
    with host.anthropic() as client:
        counted = client.messages.count_tokens(model=host.model("mock-chat", "claude"), messages=MESSAGES)
    assert counted.input_tokens == len(QUESTION.split())
    request = upstream.last_request()
    assert request["path"].endswith("/messages/count_tokens")
    assert "max_tokens" not in json.loads(request["body"])
    assert upstream.charges() == 0
