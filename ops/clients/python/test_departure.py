"""A client that leaves a stream: the provider is not left talking to nobody."""

import time

import openai as library
import pytest

import samples

WITHIN_MS = 100
# A machine that is busy with something else may keep any one of them waiting, but not all.
ATTEMPTS_MAX = 5
NEVER_AFTER_MS = 2_000
# Long enough that the stream goes on for seconds unless somebody ends it.
LONG = "word " * 400
DRIP = "drip=20"


def assert_ends(upstream, leave) -> None:
    """`leave` begins something, leaves it, and tells when; the provider sees its connection end soon after."""
    took = []
    while not took or (min(took) > WITHIN_MS and len(took) < ATTEMPTS_MAX):
        upstream.reset()
        closed_unix_ms = leave()
        request = upstream.wait_until_ended()
        assert request["ending"] == "client_left", request
        took.append(request["at_unix_ms"] + request["ended_after_ms"] - closed_unix_ms)
    assert min(took) <= WITHIN_MS and max(took) <= NEVER_AFTER_MS, took


def now_unix_ms() -> float:
    return time.time() * 1000


def test_a_chat_that_is_left_ends_at_the_provider(openai, target, upstream):
    def leave() -> float:
        upstream.fail_next(DRIP)
        stream = openai.chat.completions.create(
            model=target.model("mock-chat"), messages=[{"role": "user", "content": LONG}], stream=True
        )
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        closed = now_unix_ms()
        stream.close()
        return closed

    assert_ends(upstream, leave)


@pytest.mark.parametrize("instance", ["mock", "claude"])
def test_a_message_that_is_left_ends_at_the_provider(target, upstream, instance):
    def leave() -> float:
        upstream.fail_next(DRIP)
        with target.anthropic() as client:
            stream = client.messages.create(
                model=target.model("mock-chat", instance),
                max_tokens=4096,
                messages=[{"role": "user", "content": LONG}],
                stream=True,
            )
            for event in stream:
                if event.type == "content_block_delta":
                    break
            closed = now_unix_ms()
            stream.close()
        return closed

    assert_ends(upstream, leave)


def test_a_chat_that_is_left_before_its_first_word_ends_at_the_provider(openai, target, upstream):
    model, messages = target.model("mock-chat"), [{"role": "user", "content": "Hello"}]

    def leave() -> float:
        upstream.fail_next("idle")
        # The provider sends its head and nothing more; a client with little patience goes.
        with pytest.raises(library.APITimeoutError):
            list(openai.with_options(timeout=0.5).chat.completions.create(model=model, messages=messages, stream=True))
        return now_unix_ms()

    assert_ends(upstream, leave)


def test_speech_that_is_left_ends_at_the_provider(openai, target, upstream):
    def leave() -> float:
        upstream.fail_next(DRIP)
        answer = openai.audio.speech.with_streaming_response.create(
            model=target.model("tts-1"), voice="alloy", input=LONG
        )
        with answer as opened:
            assert next(opened.iter_bytes(1024))
            closed = now_unix_ms()
        return closed

    assert_ends(upstream, leave)


def test_a_transcript_that_is_left_ends_at_the_provider(openai, target, upstream):
    def leave() -> float:
        upstream.fail_next("drip=200")
        stream = openai.audio.transcriptions.create(
            model=target.model("gpt-4o-mini-transcribe"),
            file=("speech.wav", samples.wav(), "audio/wav"),
            stream=True,
        )
        next(iter(stream))
        closed = now_unix_ms()
        stream.close()
        return closed

    assert_ends(upstream, leave)
