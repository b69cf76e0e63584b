"""What `generateContent` answers, whole or streamed, as events of the contract.

An event is a pair of the contract's word and its content: `("text", "…")`.
"""

import json

from . import json_text, usage
from .failure import Failure, bad_response, reported

REFUSALS = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY")


class Answer:
    """How far an answer has come. A whole answer is a stream of one piece."""

    def __init__(self, model):
        self._model = model
        self._started = False
        self._calls = 0
        # Sent on only when the stream is whole.
        self._finished = None
        self._usage = None

    def take(self, text):
        """The events of one piece."""
        chunk = json_text.parse(text)
        if not isinstance(chunk, dict):
            raise bad_response("the provider's answer is not an object")
        if "error" in chunk:
            raise reported(chunk["error"])
        feedback = _object(chunk, "promptFeedback")
        if feedback.get("blockReason"):
            message = f"the provider refused the prompt: {feedback['blockReason']}"
            raise Failure("content-refused", message, provider_detail=json.dumps(feedback))
        events = []
        if not self._started:
            self._started = True
            started = (_text(chunk, "responseId"), _text(chunk, "modelVersion") or self._model)
            events.append(("started", started))
        # One answer was asked for.
        for candidate in _objects(chunk, "candidates")[:1]:
            self._take_candidate(candidate, events)
        self._usage = _object(chunk, "usageMetadata") or self._usage
        return events

    def end(self):
        """The last events, at the connection's end, which is an error if the answer had not ended.

        The API has no closing event: the piece with `finishReason` is the last that says something.
        """
        if self._finished is None:
            raise Failure("unavailable", "the provider broke off before its answer was complete: try again")
        events = [("finished", self._reason())]
        if self._usage:
            events.append(("usage", usage.chat(self._usage)))
        return events

    def _reason(self):
        if self._finished == "STOP":
            return "tool-calls" if self._calls else "stop"
        if self._finished == "MAX_TOKENS":
            return "length"
        return "content-filter" if self._finished in REFUSALS else self._finished

    def _take_candidate(self, candidate, events):
        for part in _objects(_object(candidate, "content"), "parts"):
            self._take_part(part, events)
        logprobs = _object(candidate, "logprobsResult")
        if logprobs:
            events.append(("logprobs", _logprobs(logprobs)))
        if candidate.get("groundingMetadata"):
            events.append(("other", ("gemini.grounding-metadata", json.dumps(candidate["groundingMetadata"]))))
        self._finished = _text(candidate, "finishReason") or self._finished

    def _take_part(self, part, events):
        text, signature = _text(part, "text"), _text(part, "thoughtSignature") or None
        if part.get("thought") is True:
            events.append(("thinking", (text, signature)))
            return
        if "functionCall" in part:
            self._take_call(_object(part, "functionCall"), signature, events)
            return
        if signature:
            # It goes back with the part that follows.
            events.append(("thinking", ("", signature)))
        if text:
            events.append(("text", text))
        elif "text" not in part:
            events.append(("other", ("gemini.part", json.dumps(part))))

    def _take_call(self, call, signature, events):
        index = self._calls
        self._calls += 1
        # Results have to name their call: one without an id gets one.
        start = (index, _text(call, "id") or f"call_{index}", _text(call, "name"), signature)
        events.append(("tool-call-start", start))
        events.append(("tool-call-delta", (index, json.dumps(call.get("args") or {}))))


def _logprobs(result):
    """(token, its log-probability, the likeliest tokens there) for each place."""

    def row(item):
        return (_text(item, "token"), _number(item, "logProbability"))

    tops = [[row(item) for item in _objects(place, "candidates")] for place in _objects(result, "topCandidates")]
    chosen = [row(item) for item in _objects(result, "chosenCandidates")]
    return [(*item, tops[place] if place < len(tops) else []) for place, item in enumerate(chosen)]


def _object(holder, name):
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _objects(holder, name):
    value = holder.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(holder, name):
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _number(holder, name):
    value = holder.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0
