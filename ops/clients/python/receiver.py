"""Somebody who receives webhooks on this machine."""

import http.server
import json
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

WAIT_S = 20.0


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Takes whatever is posted to it, and answers 204."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        received: queue.Queue[Received] = queue.Queue(maxsize=1000)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received.put(Received(self.path, headers, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: pytest shows what is asserted."""

        self.url = f"http://{address}"
        self._received = received
        self._server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def next(self, path: str, wanted: Callable[[dict], bool]) -> Received:
        """The oldest message to this path, not looked at yet, whose body is wanted. Others are passed over: jobs
        of other tests may end while an endpoint is there."""
        deadline = time.monotonic() + WAIT_S
        while True:
            received = self._received.get(timeout=max(0.0, deadline - time.monotonic()))
            if received.path == path and wanted(json.loads(received.body)):
                return received

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
