"""Pictures in, structured data out."""

import base64
import json
from typing import Literal

import pytest
from pydantic import BaseModel

import samples

PICTURE = samples.png()
SOURCES = {"url": "https://pictures.invalid/cat.png", "data URL": samples.data_url(PICTURE)}


class Forecast(BaseModel):
    city: str
    degrees: float
    sky: Literal["clear", "cloudy"]
    warnings: list[str]


@pytest.mark.parametrize("source", SOURCES)
def test_a_picture_reaches_the_model(openai, target, upstream, source):
    picture = {"type": "image_url", "image_url": {"url": SOURCES[source]}}
    answer = openai.chat.completions.create(
        model=target.model("mock-chat"),
        messages=[{"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]}],
    )
    assert answer.choices[0].message.content == "Hello from the mock: What is this? (with 1 image)"
    sent = SOURCES[source] if source == "url" else base64.b64encode(PICTURE).decode()
    body = upstream.last_request()["body"]
    assert sent in body


@pytest.mark.parametrize("detail", ["low", "high", "auto"])
def test_how_closely_to_look_reaches_the_provider(openai, target, upstream, detail):
    picture = {"type": "image_url", "image_url": {"url": SOURCES["url"], "detail": detail}}
    openai.chat.completions.create(
        model=target.model("mock-chat"), messages=[{"role": "user", "content": [picture]}]
    )
    (part,) = json.loads(upstream.last_request()["body"])["messages"][0]["content"]
    assert part["image_url"]["detail"] == detail


def test_how_closely_to_look_reaches_the_provider_from_a_response_too(host_openai, upstream):
    picture = {"type": "input_image", "image_url": SOURCES["url"], "detail": "low"}
    host_openai.responses.create(model="mock/mock-chat", input=[{"role": "user", "content": [picture]}])
    assert '"detail":"low"' in upstream.last_request()["body"]


def test_an_answer_follows_a_schema_and_is_parsed(openai, target):
    answer = openai.chat.completions.parse(
        model=target.model("mock-chat"),
        messages=[{"role": "user", "content": "Tomorrow in Paris?"}],
        response_format=Forecast,
    )
    forecast = answer.choices[0].message.parsed
    assert isinstance(forecast, Forecast)
    assert (forecast.city, forecast.sky) == ("Paris", "clear")


def test_a_streamed_answer_follows_a_schema_too(openai, target):
    with openai.chat.completions.stream(
        model=target.model("mock-chat"),
        messages=[{"role": "user", "content": "Tomorrow in Paris?"}],
        response_format=Forecast,
    ) as stream:
        whole = stream.get_final_completion()
    assert whole.choices[0].message.parsed.city == "Paris"


def test_any_json_object_can_be_asked_for(openai, target):
    answer = openai.chat.completions.create(
        model=target.model("mock-chat"),
        messages=[{"role": "user", "content": "Hello"}],
        response_format={"type": "json_object"},
    )
    assert json.loads(answer.choices[0].message.content) == {"answer": "Hello from the mock: Hello"}
