import time

import openai
import pytest

import samples

WAIT_S = 60
NOWHERE = "file-019ab0c3e5f07d0aa1b2c3d4e5f60718"


def test_a_file_is_handed_to_a_chat_model_by_its_id(host_openai):
    kept = host_openai.files.create(file=("a.txt", b"words of a file"), purpose="user_data")
    parts = [{"type": "text", "text": "What is in it?"}, {"type": "file", "file": {"file_id": kept.id}}]
    host_openai.chat.completions.create(model="mock/mock-chat", messages=[{"role": "user", "content": parts}])
    with pytest.raises(openai.NotFoundError):
        parts[1]["file"]["file_id"] = NOWHERE
        host_openai.chat.completions.create(model="mock/mock-chat", messages=[{"role": "user", "content": parts}])


def test_a_picture_is_edited_by_its_id(raw, host_openai):
    kept = host_openai.files.create(file=("a.png", samples.png(8, 8)), purpose="vision")
    request = {"model": "mock/gpt-image-1", "task": "image-edit", "prompt": "Darker", "inputs": [{"role": "image", "file_id": kept.id}]}
    job = raw.post("/api/v1/generations", json=request).json()
    deadline = time.monotonic() + WAIT_S
    while job["state"] in ("queued", "processing"):
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
        job = raw.get(f"/api/v1/generations/{job['id']}").json()
    assert job["state"] == "succeeded", job
    request["inputs"][0]["role"] = "audio"
    refused = raw.post("/api/v1/generations", json=request)
    assert (refused.status_code, refused.json()["param"]) == (400, "inputs[0].file_id")


def test_a_response_reads_files_and_pictures_by_their_ids(host_openai):
    words = host_openai.files.create(file=("a.txt", b"words of a file"), purpose="user_data").id
    picture = host_openai.files.create(file=("a.png", samples.png(8, 8)), purpose="vision").id

    def respond(*parts):
        text = {"type": "input_text", "text": "What is in it?"}
        return host_openai.responses.create(model="mock/mock-chat", input=[{"role": "user", "content": [text, *parts]}])

    assert respond({"type": "input_file", "file_id": words}).status == "completed"
    assert respond({"type": "input_image", "file_id": picture, "detail": "low"}).status == "completed"
    with pytest.raises(openai.BadRequestError) as refused:
        respond({"type": "input_image", "file_id": words, "detail": "low"})
    assert refused.value.param == "input[0].content[1].file_id"
    with pytest.raises(openai.NotFoundError):
        respond({"type": "input_file", "file_id": NOWHERE})
