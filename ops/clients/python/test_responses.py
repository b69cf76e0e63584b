"""The Responses API, which the mock does not speak: the host answers it through any chat model."""

import json

import openai
import pytest
from pydantic import BaseModel

import samples
import targets

MODEL = "mock/mock-chat"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather at a place",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Place(BaseModel):
    city: str


def test_a_plain_response_has_output_text_and_usage(host_openai):
    response = host_openai.responses.create(model=MODEL, input="Hello", instructions="Be brief.")
    assert (response.object, response.status, response.model) == ("response", "completed", MODEL)
    assert response.id.startswith("resp_")
    assert response.error is None and response.incomplete_details is None
    assert response.output_text == "Hello from the mock: Hello"
    (message,) = [item for item in response.output if item.type == "message"]
    assert (message.role, message.status) == ("assistant", "completed")
    assert response.usage.output_tokens == 5
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_input_may_be_a_list_of_messages_with_pictures(host_openai):
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": samples.data_url(samples.png()), "detail": "auto"},
    ]
    response = host_openai.responses.create(model=MODEL, input=[{"role": "user", "content": content}])
    assert response.output_text == "Hello from the mock: What is this? (with 1 image)"


def test_a_streamed_response_goes_through_its_events_in_order(host_openai):
    events = list(host_openai.responses.create(model=MODEL, input="Hello there", stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    order = [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    places = [kinds.index(kind) for kind in order]
    assert places == sorted(places), kinds
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == "Hello from the mock: Hello there"
    assert events[-1].response.output_text == text
    assert events[-1].response.usage.output_tokens == 6


def test_the_client_s_stream_helper_puts_the_response_together(host_openai):
    with host_openai.responses.stream(model=MODEL, input="Hello") as stream:
        whole = stream.get_final_response()
    assert whole.output_text == "Hello from the mock: Hello"


def test_a_function_is_called_and_its_output_goes_back(host_openai):
    question = {"role": "user", "content": "What is the weather in Paris?"}
    asked = host_openai.responses.create(model=MODEL, input=[question], tools=[TOOL])
    (call,) = [item for item in asked.output if item.type == "function_call"]
    assert call.name == "get_weather"
    assert json.loads(call.arguments) == {"city": "Paris"}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
    answer = host_openai.responses.create(model=MODEL, input=[question, *asked.output, result], tools=[TOOL])
    assert "(the tool said: 18 degrees)" in answer.output_text


def test_a_response_follows_a_schema_and_is_parsed(host_openai):
    response = host_openai.responses.parse(model=MODEL, input="Where?", text_format=Place)
    assert response.output_parsed == Place(city="Paris")


def test_a_streamed_response_that_breaks_off_is_never_completed(host_openai, upstream):
    for _ in range(targets.GOOD_ANSWERS):
        host_openai.responses.create(model="faulty/mock-chat", input="Hello")
    upstream.fail_next("cut")
    kinds = []
    try:
        for event in host_openai.responses.create(model="faulty/mock-chat", input="One two three four", stream=True):
            kinds.append(event.type)
    except openai.APIError:
        kinds.append("error")
    assert kinds[0] == "response.created"
    assert kinds[-1] in ("error", "response.failed"), kinds
    assert "response.completed" not in kinds


def test_a_response_is_kept_gone_on_from_and_deleted(host_openai, upstream):
    first = host_openai.responses.create(model=MODEL, input="My name is Ada", instructions="Be brief.")
    assert first.store is True
    assert host_openai.responses.retrieve(first.id) == first
    second = host_openai.responses.create(model=MODEL, input="What is my name?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    sent = json.loads(upstream.last_request()["body"])["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    items = list(host_openai.responses.input_items.list(second.id, order="asc", limit=2))
    assert [item.content[0].text for item in items] == ["My name is Ada", first.output_text, "What is my name?"]
    host_openai.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        host_openai.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError):
        host_openai.responses.create(model=MODEL, input="And now?", previous_response_id=second.id)


def test_a_streamed_response_is_kept_too(host_openai):
    with host_openai.responses.stream(model=MODEL, input="Hello") as stream:
        whole = stream.get_final_response()
    assert host_openai.responses.retrieve(whole.id).output_text == whole.output_text


def test_a_response_that_is_not_to_be_kept_is_not(host_openai):
    response = host_openai.responses.create(model=MODEL, input="Hello", store=False)
    assert response.store is False
    for id in [response.id, "resp_1", "resp_019ab0c3e5f07d0aa1b2c3d4e5f60718"]:
        for use in (host_openai.responses.retrieve, host_openai.responses.delete, host_openai.responses.input_items.list):
            with pytest.raises(openai.NotFoundError):
                use(id)
