"""Anthropic's client: tools and pictures."""

import base64

import pytest

import samples

TOOLS = [
    {
        "name": "get_weather",
        "description": "The weather at a place",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city", "days"],
        },
    }
]
INPUT = {"city": "Paris", "days": 1}
MESSAGES = [{"role": "user", "content": "What is the weather in Paris?"}]
PICTURE = base64.b64encode(samples.png()).decode()
SOURCES = {
    "url": {"type": "url", "url": "https://pictures.invalid/cat.png"},
    "base64": {"type": "base64", "media_type": "image/png", "data": PICTURE},
}


@pytest.fixture(params=["claude", "mock"])
def model(target, request):
    return target.model("mock-chat", request.param)


@pytest.fixture
def client(target):
    with target.anthropic() as client:
        yield client


def calls(message) -> list:
    return [block for block in message.content if block.type == "tool_use"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_used_with_an_input_of_its_schema(client, model, stream):
    wish = {"model": model, "max_tokens": 100, "messages": MESSAGES, "tools": TOOLS}
    if stream:
        with client.messages.stream(**wish) as events:
            pieces = [event.partial_json for event in events if event.type == "input_json"]
            message = events.get_final_message()
        assert len([piece for piece in pieces if piece]) > 1
    else:
        message = client.messages.create(**wish)
    assert message.stop_reason == "tool_use"
    (call,) = calls(message)
    assert (call.name, call.input) == ("get_weather", INPUT)
    assert call.id


def test_a_tool_s_result_goes_back_and_the_model_goes_on(client, model):
    asked = client.messages.create(model=model, max_tokens=100, messages=MESSAGES, tools=TOOLS)
    (call,) = calls(asked)
    result = {
        "type": "tool_result",
        "tool_use_id": call.id,
        "content": [{"type": "text", "text": "18 degrees"}],
    }
    turns = [*MESSAGES, {"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    message = client.messages.create(model=model, max_tokens=100, messages=turns, tools=TOOLS)
    assert message.stop_reason == "end_turn"
    assert "18 degrees" in message.content[0].text


def test_a_tool_can_be_demanded_and_forbidden(client, model):
    hello = [{"role": "user", "content": "Hello"}]
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}):
        message = client.messages.create(
            model=model, max_tokens=100, messages=hello, tools=TOOLS, tool_choice=choice
        )
        assert len(calls(message)) == 1
    message = client.messages.create(
        model=model, max_tokens=100, messages=MESSAGES, tools=TOOLS, tool_choice={"type": "none"}
    )
    assert calls(message) == []


@pytest.mark.parametrize("source", SOURCES)
def test_a_picture_reaches_the_model(client, model, upstream, source):
    content = [{"type": "image", "source": SOURCES[source]}, {"type": "text", "text": "What is this?"}]
    message = client.messages.create(
        model=model, max_tokens=100, messages=[{"role": "user", "content": content}]
    )
    assert message.content[0].text == "Hello from the mock: What is this? (with 1 image)"
    assert (SOURCES[source].get("url") or PICTURE) in upstream.last_request()["body"]
