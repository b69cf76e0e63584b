import json
import time

import openai
import pytest

import samples

LINES = b"".join(
    json.dumps({"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "Yes."}]}).encode()
    + b"\n"
    for n in range(12)
)
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
TRAINER = f"replicate/mock/trainer:{VERSION}"
WAIT_S = 60


@pytest.fixture
def data(host_openai):
    return host_openai.files.create(file=("data.jsonl", LINES), purpose="fine-tune").id


def end_of(client, job):
    deadline = time.monotonic() + WAIT_S
    while job.status in ("validating_files", "queued", "running"):
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def test_a_model_is_trained_watched_and_used(host_openai, data, upstream):
    job = host_openai.fine_tuning.jobs.create(
        model=TRAINER, training_file=data, metadata={"team": "a"}, extra_body={"options": {"destination": "me/mine", "steps": 10}}
    )
    assert job.id.startswith("ftjob-")
    assert (job.object, job.model, job.training_file, job.metadata) == ("fine_tuning.job", TRAINER, data, {"team": "a"})
    job = end_of(host_openai, job)
    assert (job.status, job.error) == ("succeeded", None)
    assert job.fine_tuned_model == f"replicate/me/mine:{VERSION}"
    assert job.finished_at >= job.created_at
    assert upstream.charges() == 1
    sent = [request for request in upstream.requests() if request["path"].endswith("/trainings")]
    assert len(sent) == 1
    events = [event.message for event in host_openai.fine_tuning.jobs.list_events(job.id)]
    assert len(events) == 3 and job.fine_tuned_model in events[0]
    assert job.id in [listed.id for listed in host_openai.fine_tuning.jobs.list(limit=2)]
    made = host_openai.images.generate(model=job.fine_tuned_model, prompt="A grey square")
    assert len(made.data) == 1


def test_a_job_that_was_cancelled_stays_cancelled(host_openai, data):
    job = host_openai.fine_tuning.jobs.create(
        model=TRAINER, training_file=data, extra_body={"options": {"destination": "me/mine"}}
    )
    cancelled = end_of(host_openai, host_openai.fine_tuning.jobs.cancel(job.id))
    assert cancelled.status == "cancelled"
    assert host_openai.fine_tuning.jobs.cancel(job.id).status == "cancelled"


def test_what_cannot_be_trained_is_refused(host_openai, data):
    create = host_openai.fine_tuning.jobs.create
    with pytest.raises(openai.BadRequestError) as refused:
        create(model="mock/tts-1", training_file=data)
    assert refused.value.code == "model_cannot_do_task"
    with pytest.raises(openai.NotFoundError):
        create(model=TRAINER, training_file="file-019ab0c3e5f07d0aa1b2c3d4e5f60718")
    picture = host_openai.files.create(file=("a.png", samples.png(8, 8)), purpose="vision")
    with pytest.raises(openai.BadRequestError) as refused:
        create(model=TRAINER, training_file=picture.id)
    assert refused.value.param == "training_file"
    with pytest.raises(openai.BadRequestError):
        create(model=TRAINER, training_file=data, suffix="x" * 65)
    for id in ["ftjob-019ab0c3e5f07d0aa1b2c3d4e5f60718", "ftjob-1", data]:
        with pytest.raises(openai.NotFoundError):
            host_openai.fine_tuning.jobs.retrieve(id)
