"""A good request for each operation: what no description can tell, because it speaks of what is there."""

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

import samples
from people import PASSWORD, TRAINER, Person, somebody

JSON, FORM = "application/json", "multipart/form-data"
CHAT, PAINTER = "mock/mock-chat", "mock/gpt-image-1"
OTHER_PASSWORD = "quiet harbour of nine"
# What the provider of the instance "notifying" signs callbacks with.
WEBHOOK_SECRET = "whsec_b3JjaGFyZCB3YWxsIG5pbmUgbGFudGVybnM="


@dataclass
class Good:
    """What an operation is asked with, beside the headers of its caller."""

    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    media_type: str | None = None
    # A session of somebody else's than the caller, who would be gone afterwards.
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


Goods = dict[str, Good]


def sent(body: Any, **path: str) -> Good:
    return Good(path=path, body=body, media_type=JSON)


def form(fields: dict[str, Any]) -> Good:
    return Good(body=fields, media_type=FORM)


def at(**path: str) -> Good:
    return Good(path=path)


def live(person: Person) -> Goods:
    """Calls that a provider answers at once."""
    turns = [{"role": "user", "content": "hi"}]
    sound, picture = samples.wav(), samples.png()
    return {
        "POST /v1/chat/completions": sent({"model": CHAT, "messages": turns}),
        "POST /v1/responses": sent({"model": CHAT, "input": "hi"}),
        "POST /v1/messages": sent({"model": CHAT, "messages": turns, "max_tokens": 10}),
        "POST /v1/messages/count_tokens": sent({"model": CHAT, "messages": turns}),
        "POST /v1/embeddings": sent({"model": "mock/text-embedding-3-small", "input": "hi"}),
        "POST /v1/moderations": sent({"model": "mock/omni-moderation-latest", "input": "hi"}),
        "POST /v1/audio/speech": sent({"model": "mock/tts-1", "input": "hi", "voice": "alloy"}),
        "POST /v1/audio/transcriptions": form({"file": sound, "model": "mock/whisper-1"}),
        "POST /v1/audio/translations": form({"file": sound, "model": "mock/whisper-1"}),
        "POST /v1/images/generations": sent({"model": PAINTER, "prompt": "a cat"}),
        "POST /v1/images/edits": form({"image": picture, "model": PAINTER, "prompt": "a dog"}),
        "POST /v1/images/variations": form({"image": picture, "model": "mock/dall-e-2"}),
    }


def jobs(person: Person, upstream) -> Goods:
    """Files, and work that goes on after its answer."""
    painted, film, training, batch = person.painted(), person.film(), person.training(), person.batch()
    picture, sung = person.picture(), person.sung()
    # What is to be cancelled must still be at work then.
    upstream.fail_next("slow=120000", times=1)
    slow = person.painting()
    output = {"id": painted, "index": "0"}
    return {
        "GET /v1/models/{id}": at(id=CHAT),
        "POST /v1/files": form({"purpose": "user_data", "file": b"words"}),
        "GET /v1/files/{id}": at(id=picture),
        "GET /v1/files/{id}/content": at(id=picture),
        "GET /v1/files/{id}/thumbnail": at(id=picture),
        "GET /v1/files/{id}/peaks": at(id=person.sound()),
        "DELETE /v1/files/{id}": at(id=person.picture()),
        "POST /v1/videos": sent({"model": "mock/sora-2", "prompt": "a cat"}),
        "GET /v1/videos/{id}": at(id=film),
        "GET /v1/videos/{id}/content": at(id=film),
        "POST /v1/videos/{id}/remix": sent({"prompt": "a dog"}, id=film),
        "DELETE /v1/videos/{id}": at(id=person.film()),
        "POST /v1/batches": sent(
            {"input_file_id": person.lines(), "endpoint": "/v1/embeddings", "completion_window": "24h"}
        ),
        "GET /v1/batches/{id}": at(id=batch),
        "POST /v1/batches/{id}/cancel": at(id=person.batch()),
        "POST /v1/fine_tuning/jobs": sent(
            {"model": TRAINER, "training_file": person.turns(), "options": {"destination": "me/mine"}}
        ),
        "GET /v1/fine_tuning/jobs/{id}": at(id=training),
        "GET /v1/fine_tuning/jobs/{id}/events": at(id=training),
        "POST /v1/fine_tuning/jobs/{id}/cancel": at(id=person.training()),
        "POST /api/v1/generations": sent({"model": PAINTER, "task": "image-generation", "prompt": "a cat"}),
        "GET /api/v1/generations/{id}": at(id=painted),
        "POST /api/v1/generations/{id}/cancel": at(id=slow),
        "GET /api/v1/generations/{id}/outputs/{index}": at(**output),
        "GET /api/v1/generations/{id}/outputs/{index}/thumbnail": at(**output),
        "GET /api/v1/generations/{id}/outputs/{index}/peaks": at(id=sung, index="0"),
    }


def own(person: Person, admin: Person) -> Goods:
    """What a user keeps here."""
    response, (conversation, message) = person.response(), person.conversation()
    endpoint, delivery = person.delivery()
    _, shared = person.share()
    _, download = person.share("download")
    url = "https://example.com/"
    template = admin.template([person.id])
    spare = person.post("/api/v1/keys", {"name": "spare", "scopes": ["read"]})["id"]
    person.post("/api/v1/provider-keys", {"instance": "claude", "secrets": {"api-key": "my own"}})
    return {
        "GET /v1/responses/{id}": at(id=response),
        "GET /v1/responses/{id}/input_items": at(id=response),
        "DELETE /v1/responses/{id}": at(id=person.response()),
        "POST /api/v1/conversations": sent({"model": CHAT}),
        "GET /api/v1/conversations/search": Good(query={"q": "hi"}),
        "GET /api/v1/conversations/{id}": at(id=conversation),
        "POST /api/v1/conversations/{id}": sent({"title": "x"}, id=conversation),
        "DELETE /api/v1/conversations/{id}": at(id=person.conversation()[0]),
        "GET /api/v1/conversations/{id}/messages": at(id=conversation),
        "POST /api/v1/conversations/{id}/messages": sent({"content": "hi"}, id=conversation),
        "POST /api/v1/conversations/{id}/messages/{message}/regenerate": sent({}, id=conversation, message=message),
        "GET /api/v1/templates/{id}": at(id=template),
        "POST /api/v1/templates/{id}/generate": sent({"text": "hi"}, id=template),
        "POST /api/v1/webhook-endpoints": sent({"url": url}),
        "GET /api/v1/webhook-endpoints/{id}": at(id=endpoint),
        "POST /api/v1/webhook-endpoints/{id}": sent({"description": "x"}, id=endpoint),
        "POST /api/v1/webhook-endpoints/{id}/rotate": sent({"overlap_hours": 1}, id=endpoint),
        "POST /api/v1/webhook-endpoints/{id}/test": at(id=endpoint),
        "GET /api/v1/webhook-endpoints/{id}/deliveries": at(id=endpoint),
        "POST /api/v1/webhook-endpoints/{id}/deliveries/{delivery}/resend": at(id=endpoint, delivery=delivery),
        "POST /api/v1/webhook-endpoints/{id}/remove": at(id=person.endpoint()),
        "POST /api/v1/links": sent({"file_id": person.picture()}),
        "POST /api/v1/links/{id}/revoke": at(id=person.share()[0]),
        "GET /links/{token}": at(token=download),
        "GET /links/{token}/thumbnail": at(token=download),
        "GET /shares/{token}": at(token=shared),
        "POST /api/v1/provider-keys": sent({"instance": "eleven", "secrets": {"api-key": "my own"}}),
        "POST /api/v1/provider-keys/{instance}/remove": at(instance="claude"),
        "POST /api/v1/keys": sent({"name": "x", "scopes": ["read"]}),
        "POST /api/v1/keys/{id}/revoke": at(id=spare),
    }


def sessions(admin: Person) -> Goods:
    """What a browser asks, as somebody who may then be signed out, or gone."""
    person = somebody(admin, ["read"])
    stays, (other, *_) = person.session(), person.session()
    changed, out, everywhere, gone = (somebody(admin, ["read"]) for _ in range(4))

    def browsing(good: Good, who: Person, session: tuple | None = None) -> Good:
        _, good.cookies, good.headers = session or who.session()
        return good

    return {
        "POST /api/v1/auth/sign-in": sent({"name": person.name, "password": PASSWORD}),
        "GET /api/v1/auth/session": browsing(Good(), person, stays),
        "GET /api/v1/auth/sessions": browsing(Good(), person, stays),
        "POST /api/v1/auth/sessions/{id}/revoke": browsing(at(id=other), person, stays),
        "POST /api/v1/auth/sign-out": browsing(Good(), out),
        "POST /api/v1/auth/sign-out-everywhere": browsing(Good(), everywhere),
        "POST /api/v1/auth/password": browsing(
            sent({"password": PASSWORD, "new_password": OTHER_PASSWORD}), changed
        ),
        "POST /api/v1/account/delete": browsing(sent({"password": PASSWORD}), gone),
    }


def mailed(admin: Person, mailbox) -> Goods:
    """Sign-up, and a forgotten password, with the words that were mailed."""
    address, forgetful = (f"{uuid.uuid4().hex}@atelier.dev" for _ in range(2))
    nobody = Person(admin.http, "", "", None)

    def token(path: str, address: str) -> str:
        nobody.post(path, {"email": address})
        return mailbox.token_to(address)

    verified = {"token": token("/api/v1/auth/sign-up", forgetful), "password": PASSWORD}
    nobody.post("/api/v1/auth/sign-up/verify", verified)
    reset = token("/api/v1/auth/password/forgot", forgetful)
    signed_up = token("/api/v1/auth/sign-up", address)
    anyone = {"email": f"{uuid.uuid4().hex}@atelier.dev"}
    return {
        "POST /api/v1/auth/sign-up": sent(anyone),
        "POST /api/v1/auth/sign-up/resend": sent(anyone),
        "POST /api/v1/auth/sign-up/verify": sent({"token": signed_up, "password": PASSWORD}),
        "POST /api/v1/auth/password/forgot": sent(anyone),
        "POST /api/v1/auth/password/reset": sent({"token": reset, "password": OTHER_PASSWORD}),
    }


def administration(admin: Person) -> Goods:
    """An operator's work."""
    user = somebody(admin, ["read", "generate"])
    painted, call = user.painted("notifying/mock/image"), user.usage()
    template = {"task": "chat", "model": CHAT, "prompt": "Be brief."}

    def named(**more) -> dict:
        return {**template, "name": uuid.uuid4().hex, **more}

    return {
        "POST /api/v1/templates": sent(named()),
        "POST /api/v1/templates/seed": sent({"templates": [named()]}),
        "POST /api/v1/templates/clear": sent({"scene": "none is called so"}),
        "POST /api/v1/templates/{id}": sent(named(), id=admin.template([user.id])),
        "POST /api/v1/templates/{id}/archive": at(id=admin.template([user.id])),
        "POST /api/v1/generations/{id}/refund": sent({"amount": 1, "reason": "x"}, id=painted),
        "POST /api/v1/usage/{id}/refund": sent({"user": user.name, "amount": 1, "reason": "x"}, id=call),
        "POST /api/v1/credits": sent({"user": user.name, "amount": 1, "reason": "x"}),
        "GET /api/v1/budgets": Good(query={"user": user.name}),
        "POST /api/v1/budgets": sent({"user": user.name, "day": 1_000_000_000}),
        "POST /api/v1/users": sent({"name": uuid.uuid4().hex}),
        "GET /api/v1/users/{id}": at(id=user.id),
        "GET /api/v1/users/{id}/export": at(id=user.id),
        "POST /api/v1/users/{id}/password": sent({"password": PASSWORD}, id=user.id),
        "POST /api/v1/users/{id}/sign-out": at(id=user.id),
        "POST /api/v1/users/{id}/disable": at(id=somebody(admin, ["read"]).id),
        "POST /api/v1/users/{id}/enable": at(id=user.id),
        "DELETE /api/v1/users/{id}": at(id=somebody(admin, ["read"]).id),
    }


def plugins(admin: Person, folder: Path) -> Goods:
    """Those of a plugin's life, with an installed one that is there for the taking."""
    first, second, leaving, arriving = (
        upload(folder / f"{name}.wasm") for name in ("first", "second", "leaving", "arriving")
    )

    def consented(plugin: dict[str, Any]) -> dict[str, Any]:
        return {**plugin, "consent": admin.post("/api/v1/plugins/inspect", files=parts(plugin))["consent"]}

    for plugin in (first, second, leaving):
        admin.post("/api/v1/plugins", files=parts(consented(plugin)))
    stays, goes = {"publisher": "dev", "name": "hostile"}, {"publisher": "dev", "name": "leaving"}
    verbs = ("enable", "disable", "rollback")
    return {
        "POST /api/v1/plugins/inspect": form(first),
        "POST /api/v1/plugins": form(consented(arriving)),
        "GET /api/v1/plugins/{publisher}/{name}": at(**stays),
        **{f"POST /api/v1/plugins/{{publisher}}/{{name}}/{verb}": at(**stays) for verb in verbs},
        "POST /api/v1/plugins/{publisher}/{name}/remove": at(**goes),
    }


def upload(file: Path) -> dict[str, Any]:
    return {"component": file.read_bytes(), "signature": Path(f"{file}.minisig").read_text()}


def parts(fields: dict[str, Any]) -> dict[str, tuple]:
    return {name: (None if isinstance(value, str) else name, value) for name, value in fields.items()}


def opened(owner: Person) -> Goods:
    """What is there for whoever has the address."""
    download, shared = (at(token=owner.share(kind)[1]) for kind in ("download", "share"))
    return {"GET /links/{token}": download, "GET /links/{token}/thumbnail": download, "GET /shares/{token}": shared}


def called_back(owner: Person, upstream) -> Goods:
    """What a provider tells of its work, in the provider's name."""
    wanted = {"model": "notifying/mock/video", "task": "video-generation", "prompt": "a cat"}
    id = owner.post("/api/v1/generations", wanted)["id"]
    owner.until(f"/api/v1/generations/{id}", lambda told: told["state"] == "succeeded")
    sent_on = next(body for body in (request["body"] for request in reversed(upstream.requests())) if "/hooks/" in body)
    token = json.loads(sent_on)["webhook"].rsplit("/", 1)[1]
    told, now, message = {"id": "p1", "status": "succeeded"}, datetime.now(UTC), f"msg_{uuid.uuid4().hex}"
    # As schemathesis writes it, for the signature is of these bytes.
    signature = Webhook(WEBHOOK_SECRET).sign(message, now, json.dumps(told))
    good = sent(told, token=token)
    good.headers = {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return {"POST /hooks/{token}": good}
