import json
import unittest

from gemini import usage
from gemini.answer import Answer
from gemini.failure import Failure
from gemini.sse import Decoder


def piece(*parts, **members):
    finish = {"finishReason": members.pop("finish")} if "finish" in members else {}
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **finish}
    return json.dumps({"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "responseId": "r1", **members})


def events(*pieces):
    answer = Answer("asked")
    found = [event for text in pieces for event in answer.take(text)]
    return found + answer.end()


class Stream(unittest.TestCase):
    def failed(self, *pieces):
        with self.assertRaises(Failure) as raised:
            events(*pieces)
        return raised.exception

    def test_a_stream_is_started_text_finished_and_usage(self):
        counts = {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}
        found = events(piece({"text": "Hel"}), piece({"text": "lo"}, finish="STOP", usageMetadata=counts))
        self.assertEqual(
            found,
            [
                ("started", ("r1", "gemini-2.5-flash")),
                ("text", "Hel"),
                ("text", "lo"),
                ("finished", "stop"),
                ("usage", [("input-tokens", 4, {}), ("output-tokens", 2, {})]),
            ],
        )

    def test_thoughts_calls_and_their_proofs_are_told(self):
        thought = {"text": "hm", "thought": True}
        call = {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": "c2ln"}
        second = {"functionCall": {"name": "g", "id": "own"}}
        found = events(piece(thought), piece(call, second, finish="STOP"))
        self.assertEqual(
            found[1:],
            [
                ("thinking", ("hm", None)),
                ("tool-call-start", (0, "call_0", "f", "c2ln")),
                ("tool-call-delta", (0, '{"x": 1}')),
                ("tool-call-start", (1, "own", "g", None)),
                ("tool-call-delta", (1, "{}")),
                ("finished", "tool-calls"),
            ],
        )

    def test_a_stream_that_ends_in_the_middle_or_with_an_error_never_finishes(self):
        self.assertEqual(self.failed(piece({"text": "Hel"})).code, "unavailable")
        self.assertEqual(self.failed().code, "unavailable")
        error = json.dumps({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}})
        self.assertEqual(self.failed(piece({"text": "Hel"}), error).code, "overloaded")
        self.assertEqual(self.failed("{").code, "bad-response")
        self.assertEqual(self.failed("[]").code, "bad-response")

    def test_a_refused_prompt_is_a_failure_and_a_refused_answer_a_reason(self):
        refused = self.failed(json.dumps({"promptFeedback": {"blockReason": "SAFETY"}}))
        self.assertEqual(refused.code, "content-refused")
        self.assertEqual(events(piece(finish="SAFETY"))[-1], ("finished", "content-filter"))
        self.assertEqual(events(piece(finish="MAX_TOKENS"))[-1], ("finished", "length"))
        self.assertEqual(events(piece(finish="LANGUAGE"))[-1], ("finished", "LANGUAGE"))

    def test_log_probabilities_keep_their_places(self):
        row = {"token": "a", "logProbability": -0.5}
        result = {"chosenCandidates": [row], "topCandidates": [{"candidates": [row, {"token": "b"}]}]}
        text = json.dumps({"candidates": [{"logprobsResult": result, "finishReason": "STOP"}]})
        self.assertEqual(events(text)[1], ("logprobs", [("a", -0.5, [("a", -0.5), ("b", 0.0)])]))


class Usage(unittest.TestCase):
    def test_cached_thought_and_spoken_tokens_are_told_apart_and_add_up(self):
        metadata = {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 60,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 85}, {"modality": "AUDIO", "tokenCount": 15}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
            "toolUsePromptTokenCount": 7,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 30,
            "totalTokenCount": 157,
        }
        lines = usage.chat(metadata)
        self.assertEqual(
            lines,
            [
                ("input-tokens", 37, {}),
                ("output-tokens", 20, {}),
                ("input-tokens", 55, {"cached": "true"}),
                ("input-tokens", 5, {"cached": "true", "modality": "audio"}),
                ("input-tokens", 10, {"modality": "audio"}),
                ("output-tokens", 30, {"reasoning": "true"}),
            ],
        )
        self.assertEqual(sum(line[1] for line in lines), metadata["totalTokenCount"])

    def test_counts_that_contradict_each_other_never_exceed_the_prompt(self):
        lines = usage.chat({"promptTokenCount": 5, "cachedContentTokenCount": 9, "candidatesTokenCount": "x"})
        self.assertEqual(lines, [("input-tokens", 0, {}), ("output-tokens", 0, {}), ("input-tokens", 5, {"cached": "true"})])


class Events(unittest.TestCase):
    def test_events_are_the_same_however_the_bytes_are_cut(self):
        stream = '\ufeff: x\r\ndata: {"a":"ä"}\r\n\r\nevent: x\rdata: one\rdata:two\r\rid: 7\n\ndata\n\ndata: left'.encode()
        for size in range(1, len(stream) + 1):
            decoder = Decoder(64)
            cuts = range(0, len(stream), size)
            found = [event for at in cuts for event in decoder.feed(stream[at : at + size])]
            self.assertEqual(found, ['{"a":"ä"}'.encode(), b"one\ntwo", b""], f"in pieces of {size}")

    def test_an_event_larger_than_allowed_is_refused_complete_or_not(self):
        for text in (b"data: " + b"x" * 64, (b"data: " + b"x" * 40 + b"\n") * 2):
            with self.assertRaises(Failure):
                Decoder(64).feed(text)
