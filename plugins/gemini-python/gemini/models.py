"""Which models there are: a documented list, and what `GET /models` says.

https://ai.google.dev/gemini-api/docs/models, https://ai.google.dev/gemini-api/docs/pricing (paid tier). What is not sure is
left out.

A model is a dictionary with the members of the contract's `model`; those left out are empty.
"""

import json
import re

from .failure import bad_response, invalid

CHAT_OPTIONS = json.dumps(
    {
        "type": "object",
        "properties": {
            "safetySettings": {"type": "array", "items": {"type": "object"}},
            "cachedContent": {"type": "string"},
            "generationConfig": {
                "type": "object",
                "properties": {
                    "thinkingConfig": {"type": "object"},
                    "mediaResolution": {"type": "string"},
                    "topK": {"type": "integer", "minimum": 1},
                },
            },
        },
    }
)
VIDEO_OPTIONS = json.dumps({"type": "object", "properties": {"personGeneration": {"type": "string"}}})

# What the API calls a method, and the task it stands for.
TASKS = {"generateContent": "chat", "predictLongRunning": "video-generation"}
# They answer `generateContent` with sound alone.
SPEAKS_ONLY = re.compile(r"-tts(-|$)")
MODELS_MAX = 10_000


def _price(meter, usd_micros_per_million, **attributes):
    return (meter, attributes, usd_micros_per_million)


def _gemini(name, context, output, *prices):
    id = name.lower().replace(" ", "-")
    return {
        "id": id,
        "name": name,
        "tasks": ["chat"],
        "input_modalities": ["image", "audio", "video", "file"],
        "features": ["tools", "structured-output", "thinking", "streaming", "seed"],
        "context_tokens": context,
        "output_tokens": output,
        "options_schema": CHAT_OPTIONS,
        "prices": list(prices),
    }


def _veo(id, name, usd_micros_per_million):
    return {
        "id": id,
        "name": name,
        "tasks": ["video-generation"],
        "input_modalities": ["image"],
        "features": ["seed"],
        "options_schema": VIDEO_OPTIONS,
        "prices": [_price("video-ms", usd_micros_per_million)],
    }


def known():
    """The models known without asking."""
    return [
        _gemini("Gemini 2.5 Pro", 1_048_576 + 65_536, 65_536),
        _gemini(
            "Gemini 2.5 Flash",
            1_048_576 + 65_536,
            65_536,
            _price("input-tokens", 300_000),
            _price("input-tokens", 1_000_000, modality="audio"),
            _price("output-tokens", 2_500_000),
        ),
        _gemini(
            "Gemini 2.5 Flash-Lite",
            1_048_576 + 65_536,
            65_536,
            _price("input-tokens", 100_000),
            _price("input-tokens", 300_000, modality="audio"),
            _price("output-tokens", 400_000),
        ),
        _veo("veo-3.0-generate-001", "Veo 3", 400_000_000),
        _veo("veo-3.0-fast-generate-001", "Veo 3 Fast", 150_000_000),
    ]


def page(document):
    """A page of `GET /models`: the models that this plugin serves, and the token of the next page."""
    rows = document.get("models", []) if isinstance(document, dict) else None
    if not isinstance(rows, list) or len(rows) > MODELS_MAX:
        raise bad_response("the provider's list of models is not a list of models")
    token = document.get("nextPageToken")
    models = [listed(row) for row in rows]
    return [model for model in models if model["tasks"]], token if isinstance(token, str) and token else None


def listed(row):
    """One entry of the list. What is known beside it is taken from the documented list."""
    name = row.get("name") if isinstance(row, dict) else None
    if not isinstance(name, str) or not name:
        raise bad_response("the provider's list of models has an entry without a name")
    id = name.removeprefix("models/")
    methods = [method for method in _list(row.get("supportedGenerationMethods")) if isinstance(method, str)]
    tasks = [TASKS[method] for method in methods if method in TASKS]
    if SPEAKS_ONLY.search(id):
        tasks = []
    chats = "chat" in tasks
    features = ["tools", "structured-output", "streaming", "seed"] if chats else ["seed"]
    inputs, output = _count(row, "inputTokenLimit"), _count(row, "outputTokenLimit")
    return {
        "id": id,
        "name": _text(row, "displayName") or id,
        "description": _text(row, "description") or None,
        "status": "EXPERIMENTAL" if re.search(r"-(preview|exp)(-|$)", id) else "AVAILABLE",
        "tasks": tasks,
        "input_modalities": ["image", "audio", "video", "file"] if chats else ["image"],
        "features": features + ["thinking"] if row.get("thinking") is True else features,
        "context_tokens": inputs + output if chats and inputs and output else None,
        "output_tokens": output if chats else None,
        "options_schema": CHAT_OPTIONS if chats else VIDEO_OPTIONS,
        "prices": next((model["prices"] for model in known() if model["id"] == id), []),
    }


def path(id):
    """The path of a model; the id of a tuned one has its own collection in front."""
    if not re.fullmatch(r"(tunedModels/)?[A-Za-z0-9][A-Za-z0-9._+-]{0,199}", id):
        raise invalid("model", "this is no model id")
    return f"/{id}" if "/" in id else f"/models/{id}"


def _list(value):
    return value if isinstance(value, list) else []


def _text(row, name):
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _count(row, name):
    value = row.get(name)
    return value if isinstance(value, int) and value > 0 else None
