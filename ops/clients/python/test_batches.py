import json
import time

import openai
import pytest

CHAT = "/v1/chat/completions"
WAIT_S = 60
FINAL = ("completed", "failed", "expired", "cancelled")


def chat(id, content="Hello", model="mock/mock-chat", **more):
    body = {"model": model, "messages": [{"role": "user", "content": content}], **more}
    return {"custom_id": id, "method": "POST", "url": CHAT, "body": body}


def kept(client, lines):
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return client.files.create(file=("requests.jsonl", content), purpose="batch").id


def begin(client, lines, endpoint=CHAT, **more):
    return client.batches.create(
        input_file_id=kept(client, lines), endpoint=endpoint, completion_window="24h", **more
    )


def end_of(client, batch):
    deadline = time.monotonic() + WAIT_S
    while batch.status not in FINAL:
        assert time.monotonic() < deadline, batch
        time.sleep(0.1)
        batch = client.batches.retrieve(batch.id)
    return batch


def lines_of(client, file):
    return {line["custom_id"]: line for line in map(json.loads, client.files.content(file).text.splitlines())}


def test_requests_are_answered_in_files(host_openai, upstream):
    lines = [chat(f"c-{n}", f"Question {n}") for n in range(10)] + [chat("bad", model="mock/nothing-like-it")]
    batch = begin(host_openai, lines, metadata={"team": "a"}, output_expires_after={"anchor": "created_at", "seconds": 3600})
    assert batch.id.startswith("batch_")
    assert (batch.object, batch.endpoint, batch.completion_window, batch.metadata) == ("batch", CHAT, "24h", {"team": "a"})
    batch = end_of(host_openai, batch)
    assert (batch.status, batch.errors) == ("completed", None)
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (11, 10, 1)
    assert batch.completed_at >= batch.in_progress_at >= batch.created_at
    answers = lines_of(host_openai, batch.output_file_id)
    assert sorted(answers) == sorted(f"c-{n}" for n in range(10))
    for answer in answers.values():
        assert (answer["response"]["status_code"], answer["error"]) == (200, None)
        assert answer["response"]["body"]["object"] == "chat.completion"
    (refused,) = lines_of(host_openai, batch.error_file_id).values()
    assert (refused["custom_id"], refused["response"]["status_code"]) == ("bad", 404)
    assert upstream.charges() == 10
    file = host_openai.files.retrieve(batch.output_file_id)
    assert (file.purpose, file.expires_at) == ("batch_output", file.created_at + 3600)
    assert batch.id in [listed.id for listed in host_openai.batches.list(limit=2)]


@pytest.mark.parametrize(
    ("endpoint", "body", "found"),
    [
        ("/v1/embeddings", {"model": "mock/text-embedding-3-small", "input": "words"}, "list"),
        ("/v1/responses", {"model": "mock/mock-chat", "input": "Hello"}, "response"),
        ("/v1/moderations", {"model": "mock/omni-moderation-latest", "input": "words"}, None),
    ],
)
def test_other_endpoints_have_batches_too(host_openai, endpoint, body, found):
    line = {"custom_id": "one", "method": "POST", "url": endpoint, "body": body}
    batch = end_of(host_openai, begin(host_openai, [line], endpoint))
    assert (batch.status, batch.request_counts.completed) == ("completed", 1)
    (answer,) = lines_of(host_openai, batch.output_file_id).values()
    assert answer["response"]["body"].get("object") == found


def test_a_wrong_file_fails_its_batch(host_openai):
    batch = end_of(host_openai, begin(host_openai, [chat("a"), chat("b")], "/v1/embeddings"))
    assert (batch.status, batch.output_file_id) == ("failed", None)
    assert [(error.line, error.code) for error in batch.errors.data] == [(1, "mismatched_endpoint"), (2, "mismatched_endpoint")]


def test_a_batch_can_be_cancelled(host_openai, upstream):
    upstream.fail_next("slow=300", times=40)
    batch = begin(host_openai, [chat(f"c-{n}") for n in range(40)])
    assert host_openai.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    batch = end_of(host_openai, batch)
    assert batch.status == "cancelled"
    assert batch.request_counts.completed < 40
    assert host_openai.batches.cancel(batch.id).status == "cancelled"


def test_what_cannot_be_begun_is_refused(host_openai):
    create, good = host_openai.batches.create, kept(host_openai, [chat("a")])
    other = host_openai.files.create(file=("a.txt", b"words"), purpose="user_data").id
    for id, endpoint, window, param in [
        (other, CHAT, "24h", "input_file_id"),
        (good, "/v1/files", "24h", "endpoint"),
        (good, CHAT, "1h", "completion_window"),
    ]:
        with pytest.raises(openai.BadRequestError) as refused:
            create(input_file_id=id, endpoint=endpoint, completion_window=window)
        assert refused.value.param == param
    with pytest.raises(openai.NotFoundError):
        create(input_file_id="file-019ab0c3e5f07d0aa1b2c3d4e5f60718", endpoint=CHAT, completion_window="24h")
    for id in ["batch_019ab0c3e5f07d0aa1b2c3d4e5f60718", "batch_1", good]:
        for use in (host_openai.batches.retrieve, host_openai.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                use(id)
