"""The host's description of its API: valid by an independent judge, and true of what the host really answers."""

import json

import httpx2
import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import samples
import targets

MESSAGES = [{"role": "user", "content": "How does a sandbox keep what it holds inside?"}]
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="session")
def document(host):
    answer = httpx2.get(f"{host.root}/api/v1/openapi.json", trust_env=False)
    assert answer.status_code == 200
    return answer.json()


def conforms(document, method, path, answer):
    """The answer's body fits what the document has for its operation, status and content type."""
    responses = document["paths"][path][method]["responses"]
    status = str(answer.status_code)
    assert status in responses, f"{method} {path} may not answer {status}: {answer.text}"
    response = responses[status]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    kind = answer.headers.get("content-type", "").split(";")[0]
    if not response.get("content"):
        assert not answer.content
        return None
    assert kind in response["content"], f"{method} {path} may not answer {kind}"
    content = response["content"][kind]
    if kind == "text/event-stream":
        events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        assert events
        for event in events:
            if event != "[DONE]":
                check(document, content["x-event"], json.loads(event))
        return events
    if kind.endswith("json"):
        check(document, content["schema"], answer.json())
        return answer.json()
    return answer.content


def check(document, schema, value):
    whole = {**schema, "components": document["components"]}
    validator = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
    mistakes = [f"{mistake.json_path}: {mistake.message}" for mistake in validator.iter_errors(value)]
    assert not mistakes, (mistakes, value)


def test_the_document_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_every_schema_is_a_valid_schema(document):
    for name, schema in document["components"]["schemas"].items():
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as mistake:
            raise AssertionError(f"{name}: {mistake.message}") from mistake


def test_every_example_fits_its_schema(document):
    tried = 0
    for path, item in document["paths"].items():
        for operation in item.values():
            contents = [operation.get("requestBody", {}).get("content", {})]
            contents += [response.get("content", {}) for response in operation["responses"].values()]
            for content in contents:
                for kind, media in content.items():
                    if kind.endswith("json") and "example" in media:
                        check(document, media["schema"], media["example"])
                        tried += 1
    assert tried > 30


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"tools": [ADD]},
        {"tools": [ADD], "stream": True},
        {"logprobs": True, "top_logprobs": 2},
    ],
    ids=["whole", "stream", "tools", "tools-stream", "logprobs"],
)
def test_chat_completions_are_as_described(raw, document, body):
    path = "/v1/chat/completions"
    request = {"model": "mock/mock-chat", "messages": MESSAGES, **body}
    reference = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    check(document, reference, request)
    assert conforms(document, "post", path, raw.post(path, json=request))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "request_"),
    [
        ("/v1/responses", {"model": "mock/mock-chat", "input": "Hello"}),
        ("/v1/messages", {"model": "claude/mock-claude", "max_tokens": 64, "messages": MESSAGES}),
    ],
)
def test_the_other_dialects_of_chat_are_as_described(raw, document, path, request_, stream):
    if path == "/v1/messages":
        # Any chat model answers it: the first that its provider lists.
        models = [model["id"] for model in raw.get("/v1/models").json()["data"] if model["id"].startswith("claude/")]
        request_ = {**request_, "model": models[0]}
    answer = raw.post(path, json={**request_, "stream": stream})
    assert answer.status_code == 200, answer.text
    assert conforms(document, "post", path, answer)


def test_lists_and_models_are_as_described(raw, document):
    for path in ("/v1/models", "/api/v1/models", "/api/v1/generations", "/api/v1/keys", "/api/v1/users", "/api/v1/plugins"):
        answer = raw.get(path)
        assert answer.status_code == 200
        conforms(document, "get", path, answer)
    one = raw.get("/v1/models/mock/mock-chat")
    assert conforms(document, "get", "/v1/models/{id}", one)["id"] == "mock/mock-chat"
    plugin = raw.get("/api/v1/plugins/atelier/openai")
    assert conforms(document, "get", "/api/v1/plugins/{publisher}/{name}", plugin)["enabled"] is True


def test_embeddings_and_moderations_are_as_described(raw, document):
    for form in ("float", "base64"):
        request = {"model": "mock/text-embedding-3-small", "input": ["one", "two"], "encoding_format": form}
        answer = raw.post("/v1/embeddings", json=request)
        assert answer.status_code == 200, answer.text
        assert conforms(document, "post", "/v1/embeddings", answer)
    answer = raw.post("/v1/moderations", json={"model": "mock/omni-moderation-latest", "input": "a walk"})
    assert answer.status_code == 200, answer.text
    assert conforms(document, "post", "/v1/moderations", answer)


def test_audio_is_as_described(raw, document):
    spoken = raw.post("/v1/audio/speech", json={"model": "mock/tts-1", "voice": "alloy", "input": "Hello"})
    assert spoken.status_code == 200, spoken.text
    kind = spoken.headers["content-type"].split(";")[0]
    assert kind.startswith("audio/") and "audio/*" in document["paths"]["/v1/audio/speech"]["post"]["responses"]["200"]["content"]
    path = "/v1/audio/transcriptions"
    for form in ("json", "verbose_json", "text", "srt", "vtt"):
        files = {"file": ("tone.wav", samples.wav(), "audio/wav")}
        answer = raw.post(path, data={"model": "mock/whisper-1", "response_format": form}, files=files)
        assert answer.status_code == 200, answer.text
        assert conforms(document, "post", path, answer)


def test_images_and_generations_are_as_described(raw, document):
    path = "/v1/images/generations"
    answer = raw.post(path, json={"model": "mock/gpt-image-1", "prompt": "a lighthouse"})
    assert answer.status_code == 200, answer.text
    assert conforms(document, "post", path, answer)
    path = "/api/v1/generations"
    started = raw.post(path, json={"model": "mock/gpt-image-1", "task": "image-generation", "prompt": "a lighthouse"})
    assert started.status_code == 202, started.text
    job = conforms(document, "post", path, started)
    one = raw.get(f"{path}/{job['id']}")
    conforms(document, "get", f"{path}/{{id}}", one)
    conforms(document, "post", f"{path}/{{id}}/cancel", raw.post(f"{path}/{job['id']}/cancel"))


def test_keys_and_users_are_as_described(raw, document):
    made = raw.post("/api/v1/keys", json={"name": "described", "scopes": ["read"], "expires_in_days": 1})
    assert made.status_code == 201, made.text
    key = conforms(document, "post", "/api/v1/keys", made)
    gone = raw.post(f"/api/v1/keys/{key['id']}/revoke")
    assert gone.status_code == 204
    conforms(document, "post", "/api/v1/keys/{id}/revoke", gone)


REFUSALS = [
    ("post", "/v1/chat/completions", "/v1/chat/completions", {"json": {"model": "mock/mock-chat"}}, 400),
    ("post", "/v1/chat/completions", "/v1/chat/completions", {"json": {"model": "mock/none", "messages": MESSAGES}}, 404),
    ("post", "/v1/chat/completions", "/v1/chat/completions", {"content": b"x"}, 415),
    ("post", "/v1/embeddings", "/v1/embeddings", {"json": {"input": "x" * (1 << 20)}}, 413),
    ("post", "/v1/messages", "/v1/messages", {"json": {}}, 400),
    ("post", "/api/v1/generations", "/api/v1/generations", {"json": {"model": "mock/gpt-image-1", "task": "dance"}}, 400),
    ("get", "/api/v1/generations/{id}", "/api/v1/generations/x", {}, 400),
    ("get", "/api/v1/generations/{id}", "/api/v1/generations/019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", {}, 404),
    ("get", "/api/v1/generations", "/api/v1/generations?limit=0", {}, 400),
    ("post", "/api/v1/users", "/api/v1/users", {"json": {"name": ""}}, 400),
    ("get", "/v1/models", "/v1/models", {"headers": {"authorization": "Bearer atl_wrong"}}, 401),
]


@pytest.mark.parametrize(("method", "path", "address", "request_", "status"), REFUSALS)
def test_refusals_are_as_described(raw, document, method, path, address, request_, status):
    answer = raw.request(method, address, **request_)
    assert answer.status_code == status, answer.text
    assert conforms(document, method, path, answer)


def test_another_method_is_refused_with_those_that_are_taken(raw, document):
    for path, item in document["paths"].items():
        if "{" in path:
            continue
        answer = raw.request("DELETE", path)
        assert answer.status_code == 405, path
        allowed = {method.strip().lower() for method in answer.headers["allow"].split(",")}
        assert set(item) <= allowed, path


def test_a_request_that_the_schema_forbids_is_refused(raw, document):
    path = "/v1/chat/completions"
    reference = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    good = {"model": "mock/mock-chat", "messages": MESSAGES}
    check(document, reference, good)
    for spoiled in (
        {"temperature": 3},
        {"messages": []},
        {"n": 9},
        {"unknown": 1},
        {"stream": "yes"},
        {"max_tokens": 0},
        {"tool_choice": "perhaps"},
        {"tools": [{"type": "retrieval"}]},
        {"response_format": {"type": "xml"}},
    ):
        request = {**good, **spoiled}
        with pytest.raises(AssertionError):
            check(document, reference, request)
        answer = raw.post(path, json=request)
        assert answer.status_code == 400, (spoiled, answer.text)


def test_the_reference_page_is_there(host):
    page = httpx2.get(f"{host.root}/docs", trust_env=False)
    assert page.status_code == 200 and "API reference" in page.text
    assert targets.setting("ATELIER_API_KEY") not in page.text
