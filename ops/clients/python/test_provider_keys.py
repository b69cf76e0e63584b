"""Callers' own keys of providers: used in their name alone, at no cost here, and never shown."""

import uuid
from dataclasses import replace

import httpx2
import openai as library
import pytest

import targets

OPERATORS = "sk-operator"
PICTURES = "replicate/mock/image"
MESSAGES = [{"role": "user", "content": "Hello"}]
# A breaker looks at so many calls at least, and opens when half of them fail.
FAILURES = 12


@pytest.fixture
def somebody(host, raw):
    """Makes users of their own: keys are a user's, and other tests share theirs."""

    def make():
        name = f"somebody-{uuid.uuid4().hex[:12]}"
        made = raw.post("/api/v1/users", json={"name": name})
        assert made.status_code == 201, made.text
        key = raw.post("/api/v1/keys", json={"name": "suite", "user": name, "scopes": ["read", "generate"]})
        assert key.status_code == 201, key.text
        return replace(host, key=key.json()["secret"])

    return make


def api(target, method, path, **options):
    with httpx2.Client(base_url=target.root, timeout=targets.TIMEOUT_S, trust_env=False) as client:
        return client.request(method, path, headers={"authorization": f"Bearer {target.key}"}, **options)


def keep(target, instance, secret, name="api-key"):
    return api(target, "POST", "/api/v1/provider-keys", json={"instance": instance, "secrets": {name: secret}})


def ask(target, model="mock/mock-chat", **options):
    with target.openai() as client:
        return client.chat.completions.create(model=model, messages=MESSAGES, **options)


def keys_seen(upstream, path="/chat/completions"):
    requests = [request for request in upstream.requests() if request["path"].endswith(path)]
    return [dict(request["headers"])["authorization"] for request in requests]


def test_a_caller_s_own_key_is_used_for_their_calls_alone(somebody, upstream):
    one, other = somebody(), somebody()
    kept = keep(one, "mock", "sk-mine")
    assert kept.status_code == 200, kept.text
    assert kept.json()["check"] == "good" and kept.json()["secrets"] == ["api-key"]
    upstream.reset()
    assert ask(one).choices and ask(other).choices
    assert keys_seen(upstream) == ["Bearer sk-mine", f"Bearer {OPERATORS}"]
    removed = api(one, "POST", "/api/v1/provider-keys/mock/remove")
    assert removed.status_code == 204, removed.text
    upstream.reset()
    assert ask(one).choices
    assert keys_seen(upstream) == [f"Bearer {OPERATORS}"]
    assert api(one, "POST", "/api/v1/provider-keys/mock/remove").status_code == 404


def test_a_key_is_never_shown_and_blanked_where_its_provider_repeats_it(somebody, upstream):
    one = somebody()
    secret = f"sk-mine-{uuid.uuid4().hex}"
    assert keep(one, "mock", secret).status_code == 200
    listed = api(one, "GET", "/api/v1/provider-keys")
    assert [key["instance"] for key in listed.json()["data"]] == ["mock"] and secret not in listed.text
    upstream.fail_next("echo")
    echoed = ask(one).choices[0].message.content
    assert secret not in echoed and "authorization" in echoed.lower()


def test_a_key_that_its_provider_refuses_is_not_kept(somebody):
    one = somebody()
    refused = keep(one, "mock", "sk-bad-one")
    assert (refused.status_code, refused.json()["code"]) == (400, "own_key_unusable"), refused.text
    assert "sk-bad-one" not in refused.text
    assert api(one, "GET", "/api/v1/provider-keys").json()["data"] == []


@pytest.mark.parametrize(
    ("instance", "secrets", "status"),
    [
        ("nowhere", {"api-key": "sk-mine"}, 404),
        ("local", {"api-key": "sk-mine"}, 400),
        ("mock", {}, 400),
        ("mock", {"api-key": ""}, 400),
        ("mock", {"api-key": "line\r\nbreak"}, 400),
        ("mock", {"api-key": "x" * 20_000}, 400),
        ("mock", {"other": "sk-mine"}, 400),
        ("mock", {"api-key": "sk-mine", "other": "sk-mine"}, 400),
        ("mock", {f"s{n}": "sk-mine" for n in range(20)}, 400),
    ],
)
def test_what_is_no_key_of_an_instance_is_refused(somebody, instance, secrets, status):
    refused = api(somebody(), "POST", "/api/v1/provider-keys", json={"instance": instance, "secrets": secrets})
    assert refused.status_code == status, refused.text
    assert "sk-mine" not in refused.text


def test_a_key_sent_with_a_request_is_used_for_that_request_alone(somebody, upstream):
    one = somebody()
    upstream.reset()
    assert ask(one, extra_headers={"atelier-provider-key": "sk-once"}).choices
    assert ask(one).choices
    assert keys_seen(upstream) == ["Bearer sk-once", f"Bearer {OPERATORS}"]
    with pytest.raises(library.BadRequestError) as raised:
        ask(one, extra_headers={"atelier-provider-key": "sk-bad-once"})
    assert raised.value.code == "own_key_unusable", "it is the caller's matter, and not the operator's"
    with one.openai() as client, pytest.raises(library.BadRequestError) as raised:
        headers = {"atelier-provider-key": "r8-once"}
        client.images.generate(model=PICTURES, prompt="A grey square", extra_headers=headers)
    assert raised.value.code == "own_key_not_kept", raised.value


def test_failures_under_one_caller_s_key_open_no_breaker_of_others(somebody, upstream):
    one, other = somebody(), somebody()
    assert keep(one, "faulty", "sk-mine").status_code == 200
    upstream.fail_next("500", times=FAILURES)
    codes = []
    for _ in range(FAILURES):
        with pytest.raises(library.InternalServerError) as raised:
            ask(one, "faulty/mock-chat")
        codes.append(raised.value.status_code)
    upstream.reset()
    with pytest.raises(library.InternalServerError) as raised:
        ask(one, "faulty/mock-chat")
    assert raised.value.status_code == 503 and keys_seen(upstream) == [], "their own breaker is open"
    assert ask(other, "faulty/mock-chat").choices
    assert keys_seen(upstream) == [f"Bearer {OPERATORS}"]


def test_a_job_is_done_under_its_owner_s_key_to_its_end(somebody, upstream):
    one = somebody()
    kept = keep(one, "replicate", "r8-mine", "api-token")
    assert kept.status_code == 200, kept.text
    upstream.reset()
    with one.openai() as client:
        assert client.images.generate(model=PICTURES, prompt="A grey square").data
    seen = [
        dict(request["headers"])["authorization"]
        for request in upstream.requests()
        if "/predictions" in request["path"]
    ]
    assert seen and set(seen) == {"Bearer r8-mine"}, seen


def test_a_template_s_hidden_prompt_never_comes_into_its_user_s_account(somebody, raw, upstream):
    one = somebody()
    assert keep(one, "mock", "sk-mine").status_code == 200
    template = {
        "name": f"letter-{uuid.uuid4().hex[:8]}",
        "description": "",
        "task": "chat",
        "model": "mock/mock-chat",
        "variables": [],
        "prompt": "Be terse.",
        "audience": "everyone",
    }
    made = raw.post("/api/v1/templates", json=template)
    assert made.status_code == 201, made.text
    upstream.reset()
    path = f"/api/v1/templates/{made.json()['id']}/generate"
    answered = api(one, "POST", path, json={"variables": {}})
    assert answered.status_code == 200, answered.text
    assert keys_seen(upstream) == [f"Bearer {OPERATORS}"]
    with httpx2.Client(base_url=one.root, timeout=targets.TIMEOUT_S, trust_env=False) as client:
        headers = {"authorization": f"Bearer {one.key}", "atelier-provider-key": "sk-mine"}
        refused = client.post(path, json={"variables": {}}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "own_key_not_taken"), refused.text
