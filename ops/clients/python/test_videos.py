import json
import time

import openai
import pytest

import samples

# The client calls all of these deprecated, since OpenAI is to end its own service.
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")

MODEL = "replicate/mock/video"
PROMPT = "A lighthouse in a storm"
WAIT_S = 60
UNKNOWN = "video_019ab0c3e5f07d0aa1b2c3d4e5f60718"


def sent_to(upstream, end):
    """The requests whose path ends so, once there is one."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found = [request for request in upstream.requests() if request["path"].endswith(end)]
        if found:
            return found
        assert time.monotonic() < deadline, f"nobody asked for …{end}"
        time.sleep(0.1)


def test_a_video_is_made_polled_and_downloaded(host_openai, upstream):
    video = host_openai.videos.create_and_poll(
        model=MODEL, prompt=PROMPT, seconds="4", size="1280x720", poll_interval_ms=100
    )
    assert video.id.startswith("video_")
    assert (video.object, video.status, video.progress, video.error) == ("video", "completed", 100, None)
    assert (video.model, video.prompt, video.seconds, video.size) == (MODEL, PROMPT, "4", "1280x720")
    assert video.completed_at >= video.created_at > 1_700_000_000
    film = host_openai.videos.download_content(video.id, variant="video").read()
    assert film[4:8] == b"ftyp"
    part = host_openai.videos.with_raw_response.download_content(video.id, extra_headers={"range": "bytes=4-7"})
    assert (part.http_response.status_code, part.http_response.content) == (206, b"ftyp")
    with pytest.raises(openai.NotFoundError):
        host_openai.videos.download_content(video.id, variant="thumbnail")
    assert upstream.charges() == 1
    (sent,) = sent_to(upstream, "/predictions")
    assert json.loads(sent["body"])["input"] == {"prompt": PROMPT, "duration": 4, "size": "1280x720"}
    assert host_openai.videos.retrieve(video.id) == video
    deleted = host_openai.videos.delete(video.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (video.id, "video.deleted", True)
    with pytest.raises(openai.NotFoundError):
        host_openai.videos.retrieve(video.id)


@pytest.mark.parametrize("how", ["file", "file_id", "image_url"])
def test_a_video_begins_with_a_picture(host_openai, upstream, how):
    picture = samples.png(64, 64)
    reference = {"image_url": "https://pictures.example/cat.png"}
    if how == "file":
        host_openai.videos.create(model=MODEL, prompt=PROMPT, input_reference=("picture.png", picture, "image/png"))
    else:
        if how == "file_id":
            kept = host_openai.files.create(file=("picture.png", picture), purpose="vision")
            reference = {"file_id": kept.id}
        # The library's own method takes files alone; its form for everything else sends the documented JSON.
        request = {"model": MODEL, "prompt": PROMPT, "input_reference": reference}
        host_openai.post("/videos", body=request, cast_to=openai.types.Video)
    (sent,) = sent_to(upstream, "/predictions")
    image = json.loads(sent["body"])["input"]["image"]
    assert image == reference["image_url"] if how == "image_url" else image.startswith("data:image/png;base64,")


def test_videos_are_listed_in_pages(host_openai):
    made = [host_openai.videos.create(model=MODEL, prompt=f"{PROMPT} {n}").id for n in range(3)]
    listed = [video.id for video in host_openai.videos.list(limit=2, order="asc")]
    assert [id for id in listed if id in made] == made
    assert [video.id for video in host_openai.videos.list(limit=3).data] == made[::-1]


def test_a_finished_video_is_remixed_where_the_model_can(host_openai, upstream):
    video = host_openai.videos.create_and_poll(model=MODEL, prompt=PROMPT, poll_interval_ms=100)
    upstream.reset()
    remix = host_openai.videos.remix(video.id, prompt="The same at night")
    assert (remix.remixed_from_video_id, remix.model, remix.prompt) == (video.id, MODEL, "The same at night")
    (sent,) = sent_to(upstream, "/predictions")
    assert json.loads(sent["body"])["input"]["video"].startswith("data:video/mp4;base64,")


def test_openais_own_provider_knows_the_video_that_is_remixed(host_openai, upstream):
    video = host_openai.videos.create_and_poll(model="mock/sora-2", prompt=PROMPT, poll_interval_ms=200)
    assert (video.status, video.seconds, video.size) == ("completed", "4", "720x1280")
    remix = host_openai.videos.remix(video.id, prompt="The same at night")
    assert remix.remixed_from_video_id == video.id
    (sent,) = sent_to(upstream, "/remix")
    assert json.loads(sent["body"]) == {"prompt": "The same at night"}


def test_what_cannot_be_filmed_is_refused(host_openai):
    create = host_openai.videos.create
    for refused, param in [
        ({"model": "mock/tts-1", "prompt": PROMPT}, "model"),
        ({"model": MODEL, "prompt": ""}, "prompt"),
        ({"model": MODEL, "prompt": PROMPT, "seconds": "0"}, "seconds"),
        ({"model": MODEL, "prompt": PROMPT, "size": "large"}, "size"),
        ({"model": MODEL, "prompt": PROMPT, "extra_body": {"x": 1}}, "x"),
        ({"model": MODEL, "prompt": PROMPT, "input_reference": ("a.png", b"no picture")}, "input_reference"),
    ]:
        with pytest.raises(openai.BadRequestError) as told:
            create(**refused)
        assert told.value.param == param
    for id in [UNKNOWN, "video_1", UNKNOWN.removeprefix("video_")]:
        for use in (host_openai.videos.retrieve, host_openai.videos.download_content, host_openai.videos.delete):
            with pytest.raises(openai.NotFoundError):
                use(id)
        with pytest.raises(openai.NotFoundError):
            host_openai.videos.remix(id, prompt=PROMPT)
