"""Who is asked: the host, or the mock upstream itself, whose dialects the suite checks as well."""

import os
from dataclasses import dataclass

import anthropic
import openai

TIMEOUT_S = 30.0
# Two good answers for each bad one keep the host's circuit breaker closed.
GOOD_ANSWERS = 2


def setting(name: str) -> str:
    """A variable of the environment; `cargo xtask test` sets them all."""
    value = os.environ.get(name)
    assert value, f"{name} is not set: run the suite through `cargo xtask test`"
    return value


@dataclass(frozen=True)
class Target:
    """A server that speaks the providers' APIs."""

    name: str
    root: str
    key: str

    @property
    def is_host(self) -> bool:
        return self.name == "host"

    def model(self, own_id: str, instance: str = "mock") -> str:
        """The name under which this server has the mock's model."""
        return f"{instance}/{own_id}" if self.is_host else own_id

    def openai(self, key: str | None = None) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=f"{self.root}/v1", api_key=key or self.key, max_retries=0, timeout=TIMEOUT_S
        )

    def anthropic(self, key: str | None = None) -> anthropic.Anthropic:
        # The mock has several providers under one roof; this one's model list lies below a prefix.
        root = self.root if self.is_host else f"{self.root}/anthropic"
        return anthropic.Anthropic(base_url=root, api_key=key or self.key, max_retries=0, timeout=TIMEOUT_S)


def host() -> Target:
    return Target("host", setting("ATELIER_BASE_URL"), setting("ATELIER_API_KEY"))


def mock() -> Target:
    return Target("mock", setting("MOCK_BASE_URL"), "sk-any")
