"""Somebody with a thing of every kind: what good requests speak of."""

import json
import time
import uuid

import httpx2

import samples
import targets

# None that the description has as an example: who sent that would be gone.
PASSWORD = "amber kettle 3 harbour"
TRAINER = "replicate/mock/trainer:5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
WAIT_S = 60.0
# A session's, without TLS.
COOKIE = "atelier-session"


class Person:
    """A client with a key, and ids of what is its owner's, made when they are first asked for."""

    def __init__(self, http: httpx2.Client, key: str, name: str, id: str | None) -> None:
        self.http, self.key, self.name, self.id = http, key, name, id

    def ask(self, method: str, path: str, **more) -> httpx2.Response:
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        answer = self.http.request(method, path, headers=headers, **more)
        # Whoever signs in does so on purpose, and says so by themselves.
        self.http.cookies.clear()
        assert answer.is_success, (path, answer.status_code, answer.text)
        return answer

    def post(self, path: str, body: dict | None = None, **more) -> dict:
        answer = self.ask("POST", path, **({"json": body} if body is not None else more))
        return answer.json() if answer.content else {}

    def get(self, path: str) -> dict:
        return self.ask("GET", path).json()

    def until(self, path: str, is_so) -> dict:
        deadline = time.monotonic() + WAIT_S
        while not is_so(told := self.get(path)):
            assert time.monotonic() < deadline, (path, told)
            time.sleep(0.05)
        return told

    def file(self, purpose: str, name: str, content: bytes) -> str:
        return self.post("/v1/files", data={"purpose": purpose}, files={"file": (name, content)})["id"]

    def picture(self) -> str:
        return self.file("vision", "a.png", samples.png())

    def sound(self) -> str:
        return self.file("user_data", "a.wav", samples.wav())

    def lines(self, model: str = "mock/text-embedding-3-small", count: int = 1) -> str:
        """A batch's file."""
        body = {"model": model, "input": "hi"}
        lines = [{"custom_id": f"n-{n}", "method": "POST", "url": "/v1/embeddings", "body": body} for n in range(count)]
        return self.file("batch", "a.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())

    def turns(self) -> str:
        """A training's file."""
        turn = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}
        return self.file("fine-tune", "b.jsonl", (json.dumps(turn) + "\n").encode() * 10)

    def batch(self, **lines) -> str:
        wanted = {"input_file_id": self.lines(**lines), "endpoint": "/v1/embeddings", "completion_window": "24h"}
        return self.post("/v1/batches", wanted)["id"]

    def training(self) -> str:
        wanted = {"model": TRAINER, "training_file": self.turns(), "options": {"destination": "me/mine"}}
        return self.post("/v1/fine_tuning/jobs", wanted)["id"]

    def painting(self, model: str = "mock/gpt-image-1") -> str:
        return self.post("/api/v1/generations", {"model": model, "task": "image-generation", "prompt": "a cat"})["id"]

    def painted(self, model: str = "mock/gpt-image-1") -> str:
        id = self.painting(model)
        self.until(f"/api/v1/generations/{id}", lambda told: told["state"] == "succeeded")
        return id

    def film(self) -> str:
        id = self.post("/v1/videos", {"prompt": "a cat", "model": "mock/sora-2"})["id"]
        self.until(f"/v1/videos/{id}", lambda told: told["status"] == "completed")
        return id

    def sung(self) -> str:
        """A job whose output is a sound."""
        wanted = {"model": "eleven/eleven_text_to_sound_v2", "task": "sound-effect", "prompt": "rain", "duration_ms": 1000}
        id = self.post("/api/v1/generations", wanted)["id"]
        self.until(f"/api/v1/generations/{id}", lambda told: told["state"] == "succeeded")
        return id

    def response(self) -> str:
        return self.post("/v1/responses", {"model": "mock/mock-chat", "input": "hi"})["id"]

    def conversation(self) -> tuple[str, str]:
        """With the id of its last message."""
        id = self.post("/api/v1/conversations", {"model": "mock/mock-chat"})["id"]
        said = self.post(f"/api/v1/conversations/{id}/messages", {"content": "hi"})
        return id, said["message"]["id"]

    def share(self, kind: str = "share") -> tuple[str, str]:
        """A link's id, and the token that its address ends with."""
        made = self.post("/api/v1/links", {"file_id": self.picture(), "kind": kind})
        return made["id"], made["url"].rsplit("/", 1)[1]

    def endpoint(self) -> str:
        """Nobody listens there."""
        url = f"http://{targets.setting('ATELIER_WEBHOOK_RECEIVER')}/nobody"
        return self.post("/api/v1/webhook-endpoints", {"url": url, "events": ["generation.failed"]})["id"]

    def delivery(self) -> tuple[str, str]:
        endpoint = self.endpoint()
        return endpoint, self.post(f"/api/v1/webhook-endpoints/{endpoint}/test")["id"]

    def usage(self) -> str:
        """A live call in the books, which cost something."""
        turns = [{"role": "user", "content": "hi"}]
        self.post("/v1/chat/completions", {"model": "claude/claude-haiku-4-5", "messages": turns, "max_tokens": 10})
        told = self.until("/api/v1/usage", lambda told: any(line["task"] == "chat" for line in told["data"]))
        return next(line["id"] for line in told["data"] if line["task"] == "chat")

    def template(self, users: list[str]) -> str:
        """For an administrator to make."""
        made = {"name": uuid.uuid4().hex, "task": "chat", "model": "mock/mock-chat", "prompt": "Be brief."}
        return self.post("/api/v1/templates", {**made, "audience": "users", "users": users, "text_max": 100})["id"]

    def session(self) -> tuple[str, dict[str, str], dict[str, str]]:
        """A session's id, its cookie, and what a page of ours sends beside it."""
        made = self.ask("POST", "/api/v1/auth/sign-in", json={"name": self.name, "password": PASSWORD})
        name, value = made.headers["set-cookie"].split(";", 1)[0].split("=", 1)
        assert name == COOKIE, name
        told = made.json()
        origin = str(self.http.base_url).rstrip("/")
        return told["id"], {COOKIE: value}, {"x-csrf-token": told["csrf_token"], "origin": origin}


def somebody(admin: Person, scopes: list[str], role: str = "user") -> Person:
    """A new user with a password, credit and a key."""
    name = f"schemathesis-{uuid.uuid4().hex[:12]}"
    user = admin.post("/api/v1/users", {"name": name, "role": role})
    admin.post(f"/api/v1/users/{user['id']}/password", {"password": PASSWORD})
    admin.post("/api/v1/credits", {"user": name, "amount": 1_000_000_000, "reason": "welcome"})
    key = admin.post("/api/v1/keys", {"name": "schemathesis", "scopes": scopes, "user": name})
    return Person(admin.http, key["secret"], name, user["id"])
