import base64

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
    "output_format": "png",
    "quality": "low",
    "user": "user-1",
}


@pytest.mark.parametrize("member", DOCUMENTED)
def test_a_documented_member_is_taken(host_openai, member):
    answer = host_openai.images.generate(
        model="mock/gpt-image-1", prompt=PROMPT, extra_body={member: DOCUMENTED[member]}
    )
    assert samples.png_size(pixels(answer.data[0]))


@pytest.mark.parametrize("target", ["mock"], indirect=True)
def test_a_streamed_image_comes_whole_in_its_last_event(openai):
    stream = openai.images.generate(
        model="gpt-image-1", prompt=PROMPT, size="1024x1024", stream=True, partial_images=1
    )
    events = list(stream)
    assert events[-1].type == "image_generation.completed"
    assert samples.png_size(pixels(events[-1])) == (1024, 1024)
