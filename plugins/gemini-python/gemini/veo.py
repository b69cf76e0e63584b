"""Veo's videos as jobs: a long-running operation, polled until it names where the videos are.

https://ai.google.dev/gemini-api/docs/video
"""

import json
import re

from . import json_text, usage
from .failure import Failure, bad_response, ends_job, invalid, reported, unsupported
from .variant import case

STATE_VERSION = 1
POLL_MS = 10_000
COUNT_MAX = 4
# What the provider makes when nothing else is asked for.
SECONDS_DEFAULT = 8
RESOLUTION_DEFAULT = "720p"

RESERVED = ["aspectRatio", "durationSeconds", "negativePrompt", "resolution", "sampleCount", "seed"]
# What these models have no field for is refused, not dropped.
NO_FIELD = ["quality", "format", "background"]
OPERATION = re.compile(r"(models|tunedModels)/[A-Za-z0-9._+-]{1,200}/operations/[A-Za-z0-9._-]{1,200}")
SIZES = {
    "1280x720": ("16:9", "720p"),
    "720x1280": ("9:16", "720p"),
    "1920x1080": ("16:9", "1080p"),
    "1080x1920": ("9:16", "1080p"),
    "3840x2160": ("16:9", "4k"),
    "2160x3840": ("9:16", "4k"),
}


def body(request):
    """The body of `predictLongRunning` as a value for `json_text.pieces`."""
    if request.task != "video-generation":
        raise unsupported(f"this provider has no task {request.task}", "task")
    for name in NO_FIELD:
        if getattr(request, name) is not None:
            raise unsupported("this provider's video models have no such field: leave it out", name)
    if request.prompt is None:
        raise invalid("prompt", "this task needs a prompt")
    if not 1 <= request.count <= COUNT_MAX:
        raise invalid("count", f"this provider makes 1 to {COUNT_MAX} videos at a time")
    ratio, resolution = _shape(request)
    parameters = {
        "aspectRatio": ratio,
        "durationSeconds": None if request.duration_ms is None else _seconds(request),
        "negativePrompt": request.negative_prompt,
        "resolution": resolution,
        "sampleCount": request.count if request.count > 1 else None,
        "seed": request.seed,
        **json_text.options(request.options, RESERVED),
    }
    given = {name: value for name, value in parameters.items() if value is not None}
    return {"instances": [{"prompt": request.prompt, **_inputs(request.inputs)}], "parameters": given or None}


def _shape(request):
    if request.size is None or request.size == "auto":
        return request.aspect_ratio, None
    if request.size not in SIZES:
        raise invalid("size", f"this provider has the sizes {', '.join(SIZES)}")
    ratio, resolution = SIZES[request.size]
    if request.aspect_ratio not in (None, ratio):
        raise invalid("aspect_ratio", f"the size {request.size} has the shape {ratio}")
    return ratio, resolution


def _seconds(request):
    if request.duration_ms is None:
        return SECONDS_DEFAULT
    seconds, rest = divmod(request.duration_ms, 1000)
    if rest:
        raise invalid("duration_ms", "this provider takes whole seconds")
    return seconds


def _inputs(inputs):
    found = {}
    for place, given in enumerate(inputs):
        path = f"inputs.{place}"
        image = _bytes(given.media, path)
        if given.role == "reference":
            found.setdefault("referenceImages", []).append({"image": image, "referenceType": "asset"})
            continue
        name = {"image": "image", "first-frame": "image", "last-frame": "lastFrame", "video": "video"}.get(given.role)
        if name is None:
            raise unsupported(f"this provider takes no input as {given.role}", path)
        if name in found:
            raise invalid(path, f"this provider takes one input as {given.role}")
        found[name] = image
    return found


def _bytes(media, path):
    if case(media.source) == "Url":
        raise unsupported("this provider takes uploaded files only: upload it instead of giving its URL", path)
    blob = media.source.value
    content_type = media.content_type or blob.content_type()
    return {"bytesBase64Encoded": json_text.Base64(blob), "mimeType": content_type}


def estimate(request):
    """The most that a request can use."""
    _, resolution = _shape(request)
    return _used(request.count * _seconds(request) * 1000, resolution)


def _used(ms, resolution):
    return [usage.line("video-ms", ms, resolution=resolution or RESOLUTION_DEFAULT)]


class Job:
    """What a ticket keeps: the operation, and what one of its videos uses, which the operation does not tell."""

    def __init__(self, operation, ms, resolution):
        if not isinstance(operation, str) or not OPERATION.fullmatch(operation):
            raise bad_response("the provider's operation has no usable name")
        self.operation = operation
        self.ms = ms
        self.resolution = resolution

    @classmethod
    def begun(cls, request, operation):
        """The job that `predictLongRunning` answered with `operation`."""
        name = operation.get("name") if isinstance(operation, dict) else None
        return cls(name, _seconds(request) * 1000, _shape(request)[1])

    @classmethod
    def decoded(cls, state):
        """The job that a ticket's state tells of."""
        try:
            value = json.loads(state)
            return cls(value["operation"], int(value["ms"]), value["resolution"])
        except (ValueError, KeyError, TypeError, Failure) as error:
            raise Failure("internal", "the job's state is not this plugin's") from error

    def encoded(self):
        value = {"operation": self.operation, "ms": self.ms, "resolution": self.resolution}
        return json.dumps(value).encode()

    @property
    def path(self):
        return f"/{self.operation}"

    def used(self, count):
        """What so many videos used."""
        return _used(self.ms * count, self.resolution)

    def addresses(self, operation):
        """Where the videos are; `None` while they are being made.

        Raises the operation's error, and `content-refused` when every video was filtered out.
        """
        if not isinstance(operation, dict):
            raise bad_response("the provider's operation is not an object")
        if operation.get("done") is not True:
            return None
        if "error" in operation:
            raise ends_job(reported(operation["error"]))
        answer = operation.get("response")
        made = answer.get("generateVideoResponse") if isinstance(answer, dict) else None
        if not isinstance(made, dict):
            raise bad_response("the provider's finished operation has no response")
        found = [_uri(sample) for sample in made.get("generatedSamples") or []]
        if not found:
            reasons = [str(reason) for reason in made.get("raiMediaFilteredReasons") or []]
            message = " ".join(reasons) or "the provider filtered out what it had made"
            raise Failure("content-refused", message, provider_detail=json.dumps(made))
        return found[:COUNT_MAX]


def _uri(sample):
    video = sample.get("video") if isinstance(sample, dict) else None
    uri = video.get("uri") if isinstance(video, dict) else None
    if not isinstance(uri, str) or not uri.startswith(("https://", "http://")):
        raise bad_response("the provider's video has no address")
    return uri


def origin(url):
    """Scheme, host and port of an address."""
    return "/".join(url.split("/", 3)[:3])
