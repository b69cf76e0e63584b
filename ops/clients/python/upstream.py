"""The mock upstream's control plane: what the provider saw, and what it does wrong next."""

import time

import httpx2

WAIT_S = 5.0


class Upstream:
    """Where the host's instances point, seen from the provider's side."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._http = httpx2.Client(base_url=base_url, timeout=WAIT_S, trust_env=False)

    def reset(self) -> None:
        """Forget every request, charge and pending fault."""
        self._http.post("/_mock/reset").raise_for_status()

    def fail_next(self, fault: str, times: int = 1) -> None:
        """Spoil the next requests; the mock's `--help` lists the faults."""
        self._http.post("/_mock/fault", json={"fault": fault, "times": times}).raise_for_status()

    def requests(self) -> list[dict]:
        """What arrived since the reset, oldest first."""
        return self._http.get("/_mock/requests").raise_for_status().json()["requests"]

    def charges(self) -> int:
        """How many accepted requests a provider would put on the bill."""
        return self._http.get("/_mock/charges").raise_for_status().json()["requests"]

    def last_request(self) -> dict:
        """The newest one."""
        return self.requests()[-1]

    def wait_until_ended(self) -> dict:
        """The newest request once its answer has ended.

        The control plane has no events, so it is asked again and again.
        """
        deadline = time.monotonic() + WAIT_S
        while True:
            request = self.last_request()
            if request["ending"] != "open":
                return request
            assert time.monotonic() < deadline, f"still open after {WAIT_S} s: {request}"

    def close(self) -> None:
        self._http.close()
