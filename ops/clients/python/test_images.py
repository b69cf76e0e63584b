import base64
import json

import httpx2
import pytest

import samples
import targets

PROMPT = "A grey square on a grey wall"
PICTURE = ("picture.png", samples.png(64, 64), "image/png")


def pixels(image) -> bytes:
    return base64.b64decode(image.b64_json, validate=True)


def fetched(target, url: str) -> bytes:
    """What lies at an image's address; the host's own wants the caller's key."""
    headers = {"authorization": f"Bearer {target.key}"}
    answer = httpx2.get(url, headers=headers, timeout=targets.TIMEOUT_S, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return answer.content


def test_images_come_inside_the_answer(openai, target):
    answer = openai.images.generate(model=target.model("gpt-image-1"), prompt=PROMPT, n=2, size="1024x1536")
    assert answer.created > 1_700_000_000
    assert [samples.png_size(pixels(image)) for image in answer.data] == [(1024, 1536)] * 2
    assert {image.url for image in answer.data} == {None}
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


def test_images_come_by_address_when_that_is_asked_for(openai, target):
    answer = openai.images.generate(
        model=target.model("gpt-image-1"), prompt=PROMPT, size="1024x1024", response_format="url"
    )
    (image,) = answer.data
    assert image.b64_json is None
    assert samples.png_size(fetched(target, image.url)) == (1024, 1024)


def test_an_image_s_address_opens_to_its_owner_only(host, host_openai, raw):
    answer = host_openai.images.generate(model="mock/gpt-image-1", prompt=PROMPT, response_format="url")
    url = answer.data[0].url
    assert url.startswith(host.root)
    assert httpx2.get(url, trust_env=False).status_code == 401


@pytest.mark.parametrize("form", ["b64_json", "url"])
def test_an_image_is_edited_where_its_mask_lets_it(openai, target, form):
    answer = openai.images.edit(
        model=target.model("gpt-image-1"), image=PICTURE, mask=PICTURE, prompt=PROMPT, response_format=form
    )
    (image,) = answer.data
    picture = pixels(image) if form == "b64_json" else fetched(target, image.url)
    assert samples.png_size(picture) == (1024, 1024)


def test_an_edit_takes_several_images(openai, target):
    answer = openai.images.edit(model=target.model("gpt-image-1"), image=[PICTURE, PICTURE], prompt=PROMPT)
    assert samples.png_size(pixels(answer.data[0])) == (1024, 1024)


# OpenAI has retired the route; other servers and older clients have it.
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
@pytest.mark.parametrize("form", ["b64_json", "url"])
def test_an_image_is_varied(openai, target, form):
    answer = openai.images.create_variation(
        model=target.model("dall-e-2"), image=PICTURE, n=1, size="256x256", response_format=form
    )
    (image,) = answer.data
    picture = pixels(image) if form == "b64_json" else fetched(target, image.url)
    assert samples.png_size(picture) == (256, 256)


def test_a_hub_s_image_comes_the_same_way(host_openai):
    answer = host_openai.images.generate(model="replicate/mock/image", prompt=PROMPT)
    assert samples.png_size(pixels(answer.data[0]))


# Members of the request as the client documents them, beside those that other tests send.
DOCUMENTED = {
    "background": "opaque",
    "moderation": "low",
    "output_compression": 80,
    "output_format": "png",
    "quality": "low",
    "safety_identifier": "user-1",
    "user": "user-1",
}


@pytest.mark.parametrize("member", DOCUMENTED)
def test_a_documented_member_reaches_the_provider(host_openai, upstream, member):
    answer = host_openai.images.generate(
        model="mock/gpt-image-1", prompt=PROMPT, extra_body={member: DOCUMENTED[member]}
    )
    assert samples.png_size(pixels(answer.data[0]))
    sent = json.loads(upstream.last_request()["body"])
    # A compatible server is told the end user's name by the older member.
    name = "user" if member == "safety_identifier" else member
    assert sent[name] == DOCUMENTED[member]
    if name == "user":
        assert answer.safety_identifier == "user-1"


def test_an_answer_tells_how_its_images_look(openai, target):
    answer = openai.images.generate(model=target.model("gpt-image-1"), prompt=PROMPT, n=2, size="1024x1024")
    assert len(answer.data) == 2
    assert (answer.background, answer.output_format, answer.size) == ("opaque", "png", "1024x1024")
    assert answer.usage.input_tokens_details.text_tokens == answer.usage.input_tokens


@pytest.mark.parametrize("partials", [0, 2])
def test_a_streamed_image_is_shown_unfinished_and_comes_whole_in_its_last_event(openai, target, partials):
    stream = openai.images.generate(
        model=target.model("gpt-image-1"), prompt=PROMPT, size="1024x1024", stream=True, partial_images=partials
    )
    *shown, whole = list(stream)
    assert [event.type for event in shown] == ["image_generation.partial_image"] * partials
    assert [event.partial_image_index for event in shown] == list(range(partials))
    assert whole.type == "image_generation.completed"
    assert {samples.png_size(pixels(event)) for event in [*shown, whole]} == {(1024, 1024)}
    assert (whole.size, whole.output_format) == ("1024x1024", "png")
    assert whole.usage.total_tokens > 0


def test_a_streamed_edit_has_events_of_its_own(openai, target):
    stream = openai.images.edit(
        model=target.model("gpt-image-1"), image=PICTURE, prompt=PROMPT, stream=True, partial_images=1
    )
    assert [event.type for event in stream] == ["image_edit.partial_image", "image_edit.completed"]


def test_a_provider_that_shows_nothing_on_the_way_gives_the_whole_image_alone(host_openai):
    stream = host_openai.images.generate(model="replicate/mock/image", prompt=PROMPT, stream=True, partial_images=2)
    (whole,) = list(stream)
    assert whole.type == "image_generation.completed"
    assert samples.png_size(pixels(whole))
