import httpx2
import pytest

import targets
from upstream import Upstream


@pytest.fixture(scope="session")
def control():
    upstream = Upstream(targets.setting("MOCK_BASE_URL"))
    yield upstream
    upstream.close()


@pytest.fixture
def upstream(control):
    """The provider behind the host, with an empty record."""
    control.reset()
    yield control
    # What a failed test armed and nobody met must not spoil the next test.
    control.reset()


@pytest.fixture(scope="session")
def host():
    """The host, its catalogues loaded: from here on it asks the provider only for what a test asks of it."""
    target = targets.host()
    with target.openai() as client:
        client.models.list()
    return target


@pytest.fixture(params=["host", "mock"])
def target(request):
    """Each test that takes this runs against the host and against the mock upstream."""
    return request.getfixturevalue("host") if request.param == "host" else targets.mock()


@pytest.fixture
def openai(target):
    with target.openai() as client:
        yield client


@pytest.fixture
def host_openai(host):
    with host.openai() as client:
        yield client


@pytest.fixture
def raw(host):
    """Requests that no client library would send."""
    headers = {"authorization": f"Bearer {host.key}"}
    with httpx2.Client(base_url=host.root, headers=headers, timeout=targets.TIMEOUT_S, trust_env=False) as client:
        yield client


@pytest.fixture
def spoil(target, upstream):
    """Make the provider fail the next request for the model that this returns."""

    def arm(fault: str, instance: str = "faulty") -> str:
        model = target.model("mock-chat", instance)
        with target.openai() as client:
            for _ in range(targets.GOOD_ANSWERS if target.is_host else 0):
                client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])
        upstream.fail_next(fault)
        return model

    return arm
