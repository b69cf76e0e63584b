"""Outgoing webhooks, verified by the reference library of Standard Webhooks."""

import json
import urllib.parse
import uuid

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

import targets
from receiver import Receiver

ENDPOINTS = "/api/v1/webhook-endpoints"


@pytest.fixture(scope="module")
def receiver():
    receiver = Receiver(targets.setting("ATELIER_WEBHOOK_RECEIVER"))
    yield receiver
    receiver.close()


@pytest.fixture
def endpoint(raw, receiver):
    made = raw.post(ENDPOINTS, json={"url": f"{receiver.url}/{uuid.uuid4()}", "events": ["generation.succeeded"]})
    assert made.status_code == 201, made.text
    made = made.json()
    yield made
    assert raw.post(f"{ENDPOINTS}/{made['id']}/remove").status_code == 204


def next_to(receiver, endpoint, wanted):
    return receiver.next(urllib.parse.urlsplit(endpoint["url"]).path, wanted)


def sent_test(raw, receiver, endpoint):
    """The message of a test that is asked for now."""
    sent = raw.post(f"{ENDPOINTS}/{endpoint['id']}/test")
    assert sent.status_code == 202, sent.text
    return next_to(receiver, endpoint, lambda body: body["type"] == "webhook.test")


def test_a_message_is_verified_by_the_reference_library(raw, receiver, endpoint):
    received = sent_test(raw, receiver, endpoint)
    told = Webhook(endpoint["secret"]).verify(received.body, received.headers)
    assert told["type"] == "webhook.test"
    assert told == json.loads(received.body)


def test_what_was_changed_on_the_way_is_not_verified(raw, receiver, endpoint):
    received = sent_test(raw, receiver, endpoint)
    webhook = Webhook(endpoint["secret"])
    with pytest.raises(WebhookVerificationError):
        webhook.verify(received.body.replace(b"works", b"fails"), received.headers)
    for header, value in [("webhook-id", "msg_other"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,AAAA")]:
        with pytest.raises(WebhookVerificationError):
            webhook.verify(received.body, received.headers | {header: value})


def test_old_and_new_secret_verify_until_the_overlap_is_over(raw, receiver, endpoint):
    path = f"{ENDPOINTS}/{endpoint['id']}"
    rotated = raw.post(f"{path}/rotate", json={"overlap_hours": 1})
    assert rotated.status_code == 200, rotated.text
    new = rotated.json()["secret"]
    received = sent_test(raw, receiver, endpoint)
    for secret in [endpoint["secret"], new]:
        assert Webhook(secret).verify(received.body, received.headers)["type"] == "webhook.test"
    assert raw.post(f"{path}/rotate", json={"overlap_hours": 0}).status_code == 200
    received = sent_test(raw, receiver, endpoint)
    for secret in [endpoint["secret"], new]:
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(received.body, received.headers)


def test_a_finished_generation_is_told_and_verified(raw, upstream, receiver, endpoint):
    begun = raw.post(
        "/api/v1/generations",
        json={"model": "replicate/mock/image", "task": "image-generation", "prompt": "a cat"},
    )
    assert begun.status_code == 202, begun.text
    job = begun.json()["id"]
    received = next_to(receiver, endpoint, lambda body: body["data"].get("id") == job)
    told = Webhook(endpoint["secret"]).verify(received.body, received.headers)
    assert told["type"] == "generation.succeeded"
    listed = raw.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries").json()["data"]
    assert received.headers["webhook-id"] in [each["message"] for each in listed]
