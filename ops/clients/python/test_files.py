import hashlib
import json
import time

import httpx2
import openai
import pytest

import samples
import targets

LINES = b"".join(
    json.dumps({"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "Yes."}]}).encode()
    + b"\n"
    for n in range(12)
)
PICTURE = samples.png(64, 64)


def keep(client, content=LINES, purpose="fine-tune", name="data.jsonl"):
    return client.files.create(file=(name, content), purpose=purpose)


def test_a_file_is_kept_listed_read_and_deleted(openai):
    made = keep(openai)
    assert made.id.startswith("file-")
    assert (made.object, made.bytes, made.filename, made.purpose, made.status) == (
        "file", len(LINES), "data.jsonl", "fine-tune", "processed",
    )
    assert made.id in [file.id for file in openai.files.list()]
    assert openai.files.retrieve(made.id).filename == "data.jsonl"
    assert openai.files.content(made.id).read() == LINES
    deleted = openai.files.delete(made.id)
    assert (deleted.id, deleted.deleted) == (made.id, True)


def test_pages_of_files_follow_each_other(host_openai):
    made = [keep(host_openai, f"file {n}".encode(), "user_data", f"{n}.txt").id for n in range(5)]
    listed = [file.id for file in host_openai.files.list(limit=2, order="asc", purpose="user_data")]
    assert [id for id in listed if id in made] == made
    assert len(host_openai.files.list(limit=2).data) == 2


def test_a_wrong_line_is_named(host_openai):
    lines = LINES.splitlines(keepends=True)
    lines[4] = b'{"messages": \n'
    with pytest.raises(openai.BadRequestError) as refused:
        keep(host_openai, b"".join(lines))
    assert refused.value.param == "file"
    assert "line 5" in refused.value.message


def test_a_file_can_go_by_itself(host_openai):
    made = host_openai.files.create(
        file=("a.txt", b"words"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert made.expires_at == made.created_at + 3600


def test_a_file_that_is_not_there_or_not_a_file_id_is_not_found(host_openai):
    for id in ["file-019ab0c3e5f07d0aa1b2c3d4e5f60718", "file-1", "ftjob-1"]:
        with pytest.raises(openai.NotFoundError):
            host_openai.files.retrieve(id)
        with pytest.raises(openai.NotFoundError):
            host_openai.files.delete(id)


def test_an_output_is_had_in_ranges_and_shared_by_a_link(raw, host):
    request = {"model": "mock/gpt-image-1", "task": "image-generation", "prompt": "A grey square"}
    job = raw.post("/api/v1/generations", json=request).json()
    path = f"/api/v1/generations/{job['id']}"
    for _ in range(300):
        job = raw.get(path).json()
        if job["state"] in ("succeeded", "failed", "canceled"):
            break
        time.sleep(0.1)
    assert job["state"] == "succeeded", job
    whole = raw.get(f"{path}/outputs/0")
    part = raw.get(f"{path}/outputs/0", headers={"range": "bytes=8-15"})
    assert (part.status_code, part.content) == (206, whole.content[8:16])
    again = raw.get(f"{path}/outputs/0", headers={"if-none-match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")

    link = raw.post("/api/v1/links", json={"generation": job["id"], "kind": "share", "title": "A square"}).json()
    with httpx2.Client(base_url=host.root, timeout=targets.TIMEOUT_S, trust_env=False) as anybody:
        page = anybody.get(link["url"])
        # From where the page is, wherever that is.
        assert page.status_code == 200 and f"/links/{link['content_url'].rsplit('/', 1)[1]}" in page.text
        shared = anybody.get(link["content_url"])
        assert (shared.headers["content-type"], shared.headers["content-disposition"]) == ("image/png", "inline")
        assert hashlib.sha256(shared.content).digest() == hashlib.sha256(whole.content).digest()
        assert anybody.get(f"{path}/outputs/0").status_code == 401
        assert raw.post(f"/api/v1/links/{link['id']}/revoke").status_code == 204
        assert anybody.get(link["content_url"]).status_code == 404
        assert anybody.get(link["url"]).status_code == 404
