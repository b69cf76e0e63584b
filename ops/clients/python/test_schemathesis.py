"""Requests made from the API's own description, good ones and bad ones, by each kind of caller: whatever is answered is as described,
never a fault of the host, and each operation is seen to succeed."""

import collections
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

import goods
import targets
from mailbox import Mailbox
from people import Person, somebody

HERE = Path(__file__).parent
SEED = 20261122
# For each operation, beside its good request.
EXAMPLES = 5
RUN_S_MAX = 400
# A copy of the whole store, and feeds, which are asked by hand below: the description has a stream's events as text, where events are
# wanted one by one.
BY_HAND = ["/api/v1/admin/backup", "/api/v1/events", "/api/v1/generations/{id}/events"]
GUESSES = {"POST /api/v1/auth/sign-in", "POST /api/v1/auth/password", "POST /api/v1/account/delete"}
SCOPES = {"user": ["read", "generate"], "administrator": ["read", "generate", "admin", "plugin-admin"]}


@pytest.fixture(scope="module")
def mailbox():
    mailbox = Mailbox(targets.setting("ATELIER_MAIL_SERVER"), targets.setting("ATELIER_MAIL_CERTIFICATE"))
    yield mailbox
    mailbox.close()


@pytest.fixture(scope="module")
def operator(host):
    with httpx2.Client(base_url=host.root, timeout=targets.TIMEOUT_S, trust_env=False) as http:
        yield Person(http, host.key, "admin", None)


@pytest.fixture(scope="module")
def succeeded() -> set[str]:
    """The operations that somebody was seen to succeed with."""
    return set()


def ready(who: str, operator: Person, control, mailbox) -> tuple[goods.Goods, str]:
    """Good requests for this caller, and their key."""
    if who == "anonymous":
        owner = somebody(operator, SCOPES["user"])
        return {**goods.opened(owner), **goods.called_back(owner, control), **goods.mailed(operator, mailbox)}, ""
    person = somebody(operator, SCOPES[who], who)
    made = {**goods.live(person), **goods.jobs(person, control), **goods.own(person, operator)}
    if who == "user":
        return {**made, **goods.sessions(operator)}, person.key
    plugins = Path(targets.setting("ATELIER_SPARE_PLUGINS"))
    return {**made, **goods.administration(person), **goods.plugins(person, plugins)}, person.key


def statuses(report: Path) -> dict[str, collections.Counter]:
    """By operation, the statuses in a report."""
    found = collections.defaultdict(collections.Counter)
    for line in report.read_text().splitlines():
        for kind, event in json.loads(line).items():
            recorder = event.get("recorder") if kind == "ScenarioFinished" else None
            for interaction in (recorder or {}).get("interactions", {}).values():
                answer = interaction.get("response")
                assert answer is not None, (recorder["label"], interaction)
                found[recorder["label"]][answer["status_code"]] += 1
    return found


def ask(host, made: goods.Goods, key: str, folder: Path) -> dict[str, collections.Counter]:
    """By operation, how often each status was answered."""
    report, prepared = folder / "report.ndjson", folder / "goods"
    prepared.write_bytes(pickle.dumps(made))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")]
    command += ["run", f"{host.root}/api/v1/openapi.json", "--phases", "examples,fuzzing"]
    command += ["--max-examples", str(EXAMPLES), "--seed", str(SEED), "--no-shrink", "--continue-on-failure"]
    command += ["--generation-database", "none", "--request-timeout", str(targets.TIMEOUT_S)]
    command += ["--suppress-health-check", "all", "--warnings", "off", "--no-color"]
    command += ["--report", "ndjson", "--report-ndjson-path", str(report)]
    for path in BY_HAND:
        command += ["--exclude-path", path]
    told = {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE), "GOODS": str(prepared), "GOODS_KEY": key}
    run = subprocess.run(
        command, cwd=folder, env=os.environ | told, capture_output=True, text=True, timeout=RUN_S_MAX, check=False
    )
    assert run.returncode == 0, run.stdout[-12_000:] + run.stderr[-2_000:]
    return statuses(report)


@pytest.mark.parametrize("who", ["anonymous", *SCOPES])
def test_whatever_is_asked_is_answered_as_described(who, host, operator, control, mailbox, succeeded, tmp_path, capsys):
    made, key = ready(who, operator, control, mailbox)
    found = ask(host, made, key, tmp_path)
    with capsys.disabled():
        print(f"\nschemathesis as {who}: {sum(all.total() for all in found.values())} cases")
        for operation, counted in sorted(found.items()):
            print(f"  {operation}: " + ", ".join(f"{status} x{count}" for status, count in sorted(counted.items())))
    assert len(found) > 130, "the description was not walked"
    assert not {operation for operation, counted in found.items() if any(status >= 500 for status in counted)}
    # Limits were raised for this: what is answered 429 says nothing of what is behind it. How often a password may be wrong stays.
    assert {operation for operation, counted in found.items() if 429 in counted} <= GUESSES
    good = {operation for operation, counted in found.items() if any(200 <= status < 300 for status in counted)}
    assert made.keys() <= good, {operation: dict(found[operation]) for operation in made.keys() - good}
    succeeded |= good


def test_each_operation_succeeds_for_somebody(host, raw, operator, succeeded):
    """Runs after the others, and adds what they leave out."""
    person = somebody(operator, SCOPES["user"])
    of_job = f"/api/v1/generations/{person.painted()}/events"
    for path, asker in [("/api/v1/admin/backup", operator), ("/api/v1/events", person), (of_job, person)]:
        with raw.stream("GET", path, headers={"authorization": f"Bearer {asker.key}"}) as answer:
            assert answer.status_code == 200, path
            assert next(answer.iter_bytes()), path
    described = raw.get("/api/v1/openapi.json").json()["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    # Asked for once at least: it is what was just read.
    by_hand = {f"GET {path}" for path in (*BY_HAND, "/api/v1/openapi.json")}
    assert by_hand < operations
    assert operations - succeeded == by_hand
