"""Requests that no client library sends: each is refused whole, with a code and what to do about it, and nothing of it
reaches a provider."""

import base64
import json

import pytest

import samples

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}
HELLO = [{"role": "user", "content": "Hello"}]
MIB = 1 << 20


def chat(**members) -> dict:
    return {"model": "mock/mock-chat", "messages": HELLO} | members


def said(content) -> dict:
    return chat(messages=[{"role": "user", "content": content}])


def picture(url: str) -> dict:
    return said([{"type": "image_url", "image_url": {"url": url}}])


@pytest.fixture
def refused(raw, upstream):
    """Send, and check what all refusals have in common; returns the error."""

    def send(status: int, code: str, method: str = "POST", path: str = CHAT, **request) -> dict:
        jobs = raw.get("/api/v1/generations").json()
        answer = raw.request(method, path, **request)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert int(answer.headers["content-length"]) == len(answer.content)
        error = answer.json()["error"]
        assert error["code"] == code, error
        assert error["request_id"] == answer.headers["x-request-id"]
        assert error["time"] > 1_700_000_000
        # Nothing is half done: no provider heard of it, and no job was begun.
        assert upstream.requests() == []
        assert raw.get("/api/v1/generations").json() == jobs
        return error

    return send


MALFORMED = {
    "cut short": '{"model": "mock/mock-chat", "messages": [',
    "a word that is none": '{"model": tru}',
    "empty": "",
    "something after its end": json.dumps(chat()) + " {}",
    "nested beyond reason": '{"model": "mock/mock-chat", "metadata": ' + "[" * 10_000,
}


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_json_is_refused_with_its_place(refused, text):
    error = refused(400, "malformed_json", content=MALFORMED[text], headers=JSON)
    assert "line 1 column " in error["message"]


def test_bytes_that_are_no_text_are_refused(refused):
    refused(400, "malformed_json", content=b'{"model": "mock/\xff\xfe"}', headers=JSON)


def test_a_lone_surrogate_is_refused(refused):
    text = json.dumps(said("a")).replace('"a"', '"\\ud800"')
    refused(400, "malformed_json", content=text, headers=JSON)


WRONG_TYPES = {
    "messages": "Hello",
    "messages[0].role": [{"role": "wizard", "content": "Hello"}],
    "messages[0].content": [{"role": "user", "content": 7}],
    "temperature": "hot",
    "stream": "yes",
    "max_completion_tokens": -1,
    "tools": {"type": "function"},
    "n": "one",
}


@pytest.mark.parametrize("param", WRONG_TYPES)
def test_a_value_of_the_wrong_type_is_refused_by_its_path(refused, param):
    member = param.split("[")[0]
    error = refused(400, "invalid_value", json=chat(**{member: WRONG_TYPES[param]}))
    assert error["param"] == param
    assert param in error["message"]


OUT_OF_RANGE = {"temperature": 9, "top_p": -0.1, "frequency_penalty": 3, "top_logprobs": 21, "max_completion_tokens": 0}


@pytest.mark.parametrize("param", OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_with_the_range(refused, param):
    error = refused(400, "invalid_value", json=chat(logprobs=True, **{param: OUT_OF_RANGE[param]}))
    assert error["param"] == param
    assert "must be" in error["message"]


@pytest.mark.parametrize("param", ["model", "messages"])
def test_what_is_missing_is_named(refused, param):
    body = chat()
    del body[param]
    error = refused(400, "missing_required_parameter", json=body)
    assert error["param"] == param


def test_an_unknown_member_is_refused_where_openai_refuses_it(refused):
    error = refused(400, "unknown_parameter", json=chat(temprature=0.5))
    assert error["param"] == "temprature"
    assert "temprature" in error["message"]


@pytest.mark.parametrize("model", ["mock/mock-chta", "mok/mock-chat", "mock-chat"])
def test_an_unknown_model_is_refused_with_those_near_it(refused, model):
    error = refused(404, "model_not_found", json=chat(model=model))
    assert error["param"] == "model"
    assert "mock/mock-chat" in error["message"]


def test_a_model_that_cannot_do_the_task_is_refused_with_those_that_can(refused):
    error = refused(400, "model_cannot_do_task", path="/v1/embeddings", json={"model": "mock/mock-chat", "input": "a"})
    assert "mock/text-embedding-3-small" in error["message"]


def in_pieces(size: int):
    """A body that does not tell its size beforehand."""
    for _ in range(size // 65536):
        yield b" " * 65536


@pytest.mark.parametrize("told", [True, False], ids=["with its size told", "in pieces"])
@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/embeddings", MIB), ("/v1/messages", 20 * MIB), (CHAT, 20 * MIB)]
)
def test_an_oversized_body_is_refused_while_it_is_read(raw, upstream, path, limit, told):
    content = b" " * (limit + MIB) if told else in_pieces(limit + MIB)
    answer = raw.post(path, content=content, headers=JSON)
    assert answer.status_code == 413, answer.text
    assert str(limit) in answer.json()["error"]["message"]
    assert answer.json()["error"]["code"] == "request_too_large"
    assert upstream.requests() == []


OTHER_TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]


@pytest.mark.parametrize("content_type", OTHER_TYPES)
def test_another_content_type_than_json_is_refused(refused, content_type):
    content = json.dumps(chat())
    error = refused(415, "unsupported_content_type", content=content, headers={"content-type": content_type})
    assert "application/json" in error["message"]


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/images/edits"])
def test_json_where_a_form_is_wanted_is_refused(refused, path):
    error = refused(415, "unsupported_content_type", path=path, json={"model": "mock/whisper-1"})
    assert "multipart/form-data" in error["message"]


@pytest.mark.parametrize(("text", "code"), [("a\0b", "invalid_value"), ("\0", "invalid_value"), ("a\x1bb", "invalid_prompt")])
def test_control_characters_in_a_prompt_are_refused(refused, text, code):
    error = refused(400, code, json=said(text))
    assert error["param"].startswith("messages[0]")
    body = {"model": "mock/gpt-image-1", "prompt": text}
    assert refused(400, code, path="/v1/images/generations", json=body)["param"] == "prompt"


@pytest.mark.parametrize("prompt", ["", "   "])
def test_an_empty_prompt_is_refused(refused, prompt):
    body = {"model": "mock/gpt-image-1", "prompt": prompt}
    assert refused(400, "invalid_prompt", path="/v1/images/generations", json=body)["param"] == "prompt"


BAD_PICTURES = {
    "data:image/png;base64,!!!": "base64",
    "data:image/png;base64,iVBORw0KGgo": "base64",
    "data:image/png,plain": "base64",
    "data:image/png;base64": "comma",
    "data:image/png;base64," + base64.b64encode(b"<script>alert(1)</script>").decode(): "not an image",
    "file:///etc/passwd": "URL",
    "": "URL",
}


@pytest.mark.parametrize("url", BAD_PICTURES)
def test_a_picture_that_is_none_is_refused_by_its_place(refused, url):
    error = refused(400, "invalid_value", json=picture(url))
    assert error["param"] == "messages[0].content[0].image_url.url"
    assert BAD_PICTURES[url] in error["message"]


def test_a_file_is_known_by_its_content_and_not_by_its_name(refused):
    files = {"file": ("speech.wav", samples.png(), "audio/wav")}
    error = refused(
        400, "invalid_value", path="/v1/audio/transcriptions", data={"model": "mock/whisper-1"}, files=files
    )
    assert error["param"] == "file"


def test_a_form_without_its_file_or_with_a_strange_field_is_refused(refused):
    path, model = "/v1/audio/transcriptions", (None, "mock/whisper-1")
    error = refused(400, "missing_required_parameter", path=path, files={"model": model})
    assert error["param"] == "file"
    sound = ("speech.wav", samples.wav(), "audio/wav")
    error = refused(400, "unknown_parameter", path=path, files={"model": model, "file": sound, "colour": (None, "red")})
    assert error["param"] == "colour"


def test_a_form_that_ends_too_soon_is_refused(refused):
    content = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
    headers = {"content-type": "multipart/form-data; boundary=x"}
    refused(400, "invalid_value", path="/v1/audio/transcriptions", content=content, headers=headers)


def test_an_address_that_is_none_and_a_method_that_is_none_are_told_apart(refused):
    refused(404, "unknown_url", path="/v1/chat/completion", json=chat())
    refused(405, "method_not_allowed", method="GET")


def test_a_key_is_needed(refused, raw):
    del raw.headers["authorization"]
    answer = raw.post(CHAT, json=chat())
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_api_key")
    for value in ("Bearer", "Basic abc", "Bearer atl_unknown"):
        assert raw.post(CHAT, json=chat(), headers={"authorization": value}).status_code == 401


def test_a_connection_serves_on_after_a_refusal(raw, refused):
    refused(400, "missing_required_parameter", json={"model": "mock/mock-chat"})
    answer = raw.post(CHAT, json=chat())
    assert answer.json()["choices"][0]["message"]["content"] == "Hello from the mock: Hello"
