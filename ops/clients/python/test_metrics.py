"""The host's metrics, as Prometheus reads them."""

import subprocess

import httpx2
import pytest

import targets

CHECK_LIMIT_S = 60.0


def read() -> str:
    answer = httpx2.get(targets.setting("ATELIER_METRICS_URL"), timeout=targets.TIMEOUT_S)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def check(text: str) -> subprocess.CompletedProcess:
    command = [targets.setting("PROMTOOL"), "check", "metrics"]
    return subprocess.run(command, input=text, text=True, capture_output=True, timeout=CHECK_LIMIT_S)


def test_prometheus_finds_nothing_wrong_with_the_metrics():
    host = targets.host()
    messages = [{"role": "user", "content": "hi"}]
    host.openai().chat.completions.create(model=host.model("mock-chat"), messages=messages)
    text = read()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert len(names) > 30, names
    found = check(text)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", ""), found


@pytest.mark.parametrize("spoilt", ["atelier_x{ 1\n", "# TYPE atelier_x counter\natelier_x 1\n"])
def test_the_checker_finds_what_is_wrong(spoilt: str):
    assert check(spoilt).returncode != 0
