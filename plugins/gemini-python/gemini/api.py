"""Requests to the Gemini API, through the host's `http`."""

from contextlib import contextmanager

from componentize_py_types import Err
from wit_world.imports import http
from wit_world.imports.http import Body_None_, Body_Segments, BlobSlice, Effect, Segment_Base64, Segment_Bytes
from wit_world.imports.types import Pair

from . import json_text, sse
from .failure import bad_response, from_http_error, from_response

READ_BYTES_MAX = 64 * 1024
ERROR_BYTES_MAX = 64 * 1024
JSON_BYTES_MAX = 32 * 1024 * 1024
# An image comes whole, in base64, in one event.
EVENT_BYTES_MAX = 32 * 1024 * 1024


@contextmanager
def hosted():
    """Call the host: its `http-error` becomes a failure."""
    try:
        yield
    except Err as error:
        raise from_http_error(error.value.code, error.value.message) from None


@contextmanager
def get(url):
    with exchange("GET", url, Body_None_(), Effect.SAFE, []) as response:
        yield response


@contextmanager
def post_charging(url, value):
    """Send a value as JSON, with its blobs put in by the host, for something that may cost money each time."""
    segments = [_segment(piece) for piece in json_text.pieces(value)]
    headers = [Pair("content-type", "application/json")]
    with exchange("POST", url, Body_Segments(segments), Effect.CHARGING, headers) as response:
        yield response


def _segment(piece):
    if isinstance(piece, json_text.Base64):
        return Segment_Base64(BlobSlice(piece.blob, 0, None))
    return Segment_Bytes(piece.encode())


@contextmanager
def exchange(method, url, body, effect, headers):
    """A response that is a success or a redirect; it is given back at the end."""
    request = http.Request(method, url, headers, body, effect, None)
    with hosted():
        response = http.send(request)
    with response.body:
        if not 200 <= response.status < 400:
            pairs = [(pair.name, pair.value) for pair in response.headers]
            raise from_response(response.status, pairs, _error_document(response.body))
        yield response


def _error_document(body):
    """One that is too large or breaks off is left out, as the status has said that the call failed."""
    try:
        return body.read_all(ERROR_BYTES_MAX)
    except Err:
        return b""


def _refuse_redirect(response):
    if response.status >= 300:
        raise bad_response("the provider answered with a redirect: ask the operator to check the base URL")


def text(response):
    """The whole body of a success."""
    _refuse_redirect(response)
    with hosted():
        return response.body.read_all(JSON_BYTES_MAX)


def value(response):
    return json_text.parse(text(response))


def event_groups(response):
    """The data of server-sent events, in groups as they arrive."""
    _refuse_redirect(response)
    decoder = sse.Decoder(EVENT_BYTES_MAX)
    while True:
        with hosted():
            piece = response.body.read(READ_BYTES_MAX)
        if piece is None:
            return
        events = decoder.feed(piece)
        if events:
            yield events
