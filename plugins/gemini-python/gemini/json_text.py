"""JSON: texts of the provider's and of callers, and bodies whose blobs stay with the host."""

import json

from .failure import bad_response, invalid


class Base64:
    """A JSON string that is a blob in base64; the host puts it in while sending."""

    def __init__(self, blob):
        self.blob = blob


class Raw:
    """A JSON text that goes in as it is."""

    def __init__(self, text):
        self.text = text


def parse(text):
    """A text of the provider's as a value."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_response("the provider's answer is not JSON") from error


def options(text, reserved):
    """A request's own options, an object, without the members that the request itself decides."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise invalid("options", "the options are not JSON") from error
    if not isinstance(value, dict):
        raise invalid("options", "the options are not an object")
    for name in reserved:
        if name in value:
            raise invalid(f"options.{name}", "the request has a field of its own for this")
    return value


def pieces(value):
    """A value as JSON: texts, and the blobs between them. Members that are `None` are left out."""
    found = []
    texts = []

    def flush():
        if texts:
            found.append("".join(texts))
            texts.clear()

    def write(value):
        if isinstance(value, Base64):
            texts.append('"')
            flush()
            found.append(value)
            texts.append('"')
        elif isinstance(value, Raw):
            texts.append(value.text)
        elif isinstance(value, dict):
            many("{", [item for item in value.items() if item[1] is not None], member, "}")
        elif isinstance(value, list):
            many("[", value, write, "]")
        else:
            texts.append(json.dumps(value, ensure_ascii=False, allow_nan=False))

    def member(item):
        name, value = item
        texts.append(json.dumps(name, ensure_ascii=False) + ":")
        write(value)

    def many(begin, items, each, end):
        texts.append(begin)
        for place, item in enumerate(items):
            if place:
                texts.append(",")
            each(item)
        texts.append(end)

    write(value)
    flush()
    return found
