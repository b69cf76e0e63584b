"""Requests made from the API's own description, good ones and bad ones, by three callers: whatever is answered is as described, and
never a fault of the host."""

import collections
import json
import os
import subprocess
import sys

import httpx2
import pytest

import targets

SEED = 20261122
# For each operation: about half a minute for each caller.
EXAMPLES = 3
RUN_S_MAX = 240
# What would take the caller's own key or the provider away from all tests after it.
LEFT_OUT = r"/(revoke|disable|remove|rollback|sign-in|sign-out|sign-out-everywhere|password)$"
# A copy of the whole store, and feeds: the description has a stream's events as text, where events are wanted one by one.
ENDLESS = ["/api/v1/admin/backup", "/api/v1/events", "/api/v1/generations/{id}/events"]
# What the description cannot tell: which models there are and what they take, whose credits suffice, what a provider allows.
NOT_TOLD = ["positive_data_acceptance", "negative_data_rejection"]


# Callers with a key wait for models to answer, which takes minutes where the host is built for tests: name them to try them, with commas.
CALLERS = os.environ.get("SCHEMATHESIS_CALLERS", "anonymous").split(",")


@pytest.fixture(params=CALLERS)
def caller(request, host):
    """Who asks, and a key that no other test needs."""
    if request.param == "anonymous":
        return request.param, None
    headers = {"authorization": f"Bearer {host.key}"}
    with httpx2.Client(base_url=host.root, headers=headers, timeout=targets.TIMEOUT_S, trust_env=False) as admin:
        scopes, body = ["read", "generate"], {"name": "schemathesis"}
        if request.param == "user":
            made = admin.post("/api/v1/users", json={"name": "schemathesis"})
            assert made.status_code == 201, made.text
            body["user"] = "schemathesis"
        else:
            scopes += ["admin", "plugin-admin"]
        made = admin.post("/api/v1/keys", json={**body, "scopes": scopes})
        assert made.status_code == 201, made.text
        return request.param, made.json()["secret"]


def statuses(report) -> dict[str, collections.Counter]:
    """By operation, how often each status was answered."""
    found = collections.defaultdict(collections.Counter)
    for line in report.read_text().splitlines():
        for kind, event in json.loads(line).items():
            recorder = event.get("recorder") if kind == "ScenarioFinished" else None
            for interaction in (recorder or {}).get("interactions", {}).values():
                answer = interaction.get("response")
                assert answer is not None, (recorder["label"], interaction)
                found[recorder["label"]][answer["status_code"]] += 1
    return found


def test_whatever_is_asked_is_answered_as_described(caller, host, tmp_path, capsys):
    who, key = caller
    report = tmp_path / "report.ndjson"
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{host.root}/api/v1/openapi.json"]
    command += ["--phases", "examples,fuzzing", "--max-examples", str(EXAMPLES), "--seed", str(SEED), "--no-shrink"]
    command += ["--continue-on-failure", "--generation-database", "none", "--request-timeout", str(targets.TIMEOUT_S)]
    command += ["--suppress-health-check", "all", "--warnings", "off", "--no-color"]
    command += ["--report", "ndjson", "--report-ndjson-path", str(report), "--exclude-checks", ",".join(NOT_TOLD)]
    command += ["--exclude-path-regex", LEFT_OUT]
    for path in ENDLESS:
        command += ["--exclude-path", path]
    if key:
        command += ["--header", f"Authorization: Bearer {key}"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    assert run.returncode == 0, run.stdout[-8_000:] + run.stderr[-2_000:]
    found = statuses(report)
    with capsys.disabled():
        print(f"\nschemathesis as {who}: {sum(all.total() for all in found.values())} cases")
        for operation, counted in sorted(found.items()):
            print(f"  {operation}: " + ", ".join(f"{status} x{count}" for status, count in sorted(counted.items())))
    assert len(found) > 90, "the description was not walked"
    answered = {status for counted in found.values() for status in counted}
    assert not {status for status in answered if status >= 500}
    # Limits were raised for this: what is answered 429 says nothing of what is behind it.
    assert 429 not in answered
    if key:
        # What is there whoever asks.
        for operation in ("GET /v1/models", "GET /v1/files", "GET /api/v1/generations", "POST /api/v1/conversations"):
            assert found[operation].keys() & {200, 201}, (operation, found[operation])
