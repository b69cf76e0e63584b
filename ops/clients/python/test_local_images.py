"""In-house pictures: faces out of random numbers, and pictures repainted; their weights are fetched when they are first asked."""

import base64

import openai as library
import pytest

import samples

FACES = "local/dcgan-faces"
STYLES = "local/multistyle26"
FETCH_TIMEOUT_S = 900.0


@pytest.fixture(scope="module")
def client(host):
    with host.openai() as client:
        yield client.with_options(timeout=FETCH_TIMEOUT_S)


def pixels(image) -> bytes:
    return base64.b64decode(image.b64_json, validate=True)


def test_faces_are_drawn_and_each_is_another(client):
    answer = client.images.generate(model=FACES, prompt="a face", n=2)
    first, second = map(pixels, answer.data)
    assert samples.png_size(first) == samples.png_size(second) == (64, 64)
    assert first != second


def test_a_picture_is_repainted_in_the_style_of_a_number(client):
    picture = ("picture.png", samples.png(48, 40), "image/png")
    (image,) = client.images.edit(model=STYLES, image=picture, prompt="11").data
    assert samples.png_size(pixels(image)) == (48, 40)


def test_a_style_in_words_is_refused_with_what_to_say(client):
    picture = ("picture.png", samples.png(48, 40), "image/png")
    with pytest.raises(library.BadRequestError, match="the style's number"):
        client.images.edit(model=STYLES, image=picture, prompt="like van Gogh")


def test_a_size_that_is_not_made_is_refused(client):
    with pytest.raises(library.BadRequestError, match="64x64"):
        client.images.generate(model=FACES, prompt="a face", size="1024x1024")
