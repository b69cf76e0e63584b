import base64
import json

import httpx2
import openai as library
import pytest

import samples

TEXT = "The quick brown fox jumps over the lazy dog"
# The mock speaks each word in 19 frames of 417 bytes.
MP3_BYTES = len(TEXT.split()) * 19 * 417
SOUND = ("speech.wav", samples.wav(), "audio/wav")
HEARD = f"Hello from the mock: {len(SOUND[1])} bytes of speech.wav"


def spoken(client, model: str, **wish):
    return client.audio.speech.with_streaming_response.create(model=model, voice="alloy", input=TEXT, **wish)


def test_speech_is_streamed_as_it_is_made(openai, target):
    with spoken(openai, target.model("tts-1")) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert "content-length" not in answer.headers
        pieces = list(answer.iter_bytes(4096))
    assert sum(map(len, pieces)) == MP3_BYTES
    assert len(pieces) > 1
    assert pieces[0][:2] == b"\xff\xfb"


@pytest.mark.parametrize(("form", "begin"), [("wav", b"RIFF"), ("pcm", b"\0\0")])
def test_the_form_of_speech_can_be_chosen(openai, target, form, begin):
    answer = openai.audio.speech.create(
        model=target.model("tts-1"), voice="alloy", input=TEXT, response_format=form, speed=1.25
    )
    assert answer.content.startswith(begin)
    assert answer.response.headers["content-type"] in (f"audio/{form}", f"audio/x-{form}")


def test_speech_that_breaks_off_does_not_end_like_a_whole_file(target, spoil):
    spoil("cut")
    with target.openai() as client, pytest.raises((library.APIConnectionError, httpx2.TransportError)):
        with spoken(client, target.model("tts-1", "faulty")) as answer:
            received = b"".join(answer.iter_bytes())
            assert len(received) < MP3_BYTES


def test_speech_can_come_as_events(openai, target):
    with spoken(openai, target.model("tts-1"), stream_format="sse") as answer:
        assert answer.headers["content-type"].split(";")[0] == "text/event-stream"
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert sum(len(base64.b64decode(event["audio"], validate=True)) for event in deltas) == MP3_BYTES
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["total_tokens"] >= 0


def test_another_provider_speaks_through_the_same_route(host_openai):
    answer = host_openai.audio.speech.create(model="eleven/mock-speech", voice="mockvoice01", input=TEXT)
    assert len(answer.content) == MP3_BYTES


def test_speech_is_written_down(openai, target):
    answer = openai.audio.transcriptions.create(model=target.model("whisper-1"), file=SOUND)
    assert answer.text == HEARD


def test_a_verbose_transcript_times_each_word(openai, target):
    answer = openai.audio.transcriptions.create(
        model=target.model("whisper-1"),
        file=SOUND,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="en",
        prompt="A greeting.",
        temperature=0.0,
    )
    words = HEARD.split()
    assert (answer.text, answer.language) == (HEARD, "english")
    assert float(answer.duration) == len(words) * 0.5
    assert [word.word for word in answer.words] == words
    assert (answer.words[1].start, answer.words[1].end) == (0.5, 1.0)
    (segment,) = answer.segments
    assert (segment.id, segment.start, segment.end, segment.text) == (0, 0.0, len(words) * 0.5, HEARD)
    assert (segment.avg_logprob, segment.no_speech_prob) == (-0.1, 0.01)
    assert (segment.seek, segment.temperature, segment.compression_ratio) == (0, 0.0, 1.0)
    assert segment.tokens == list(range(len(words)))


def test_a_transcript_can_be_text_or_subtitles(openai, target):
    def written(form: str) -> str:
        return openai.audio.transcriptions.create(model=target.model("whisper-1"), file=SOUND, response_format=form)

    assert written("text") == f"{HEARD}\n"
    # Eight words of half a second.
    assert written("srt").strip() == f"1\n00:00:00,000 --> 00:00:04,000\n{HEARD}"
    assert written("vtt").strip() == f"WEBVTT\n\n00:00:00.000 --> 00:00:04.000\n{HEARD}"


def test_a_transcript_comes_in_pieces(openai, target):
    # OpenAI's Whisper is documented not to stream; its successors do.
    model = target.model("gpt-4o-mini-transcribe")
    stream = openai.audio.transcriptions.create(model=model, file=SOUND, stream=True)
    *deltas, done = list(stream)
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert len(deltas) > 1
    assert "".join(event.delta for event in deltas) == done.text == HEARD
    assert done.type == "transcript.text.done"


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_speech_is_translated(openai, target):
    model = target.model("whisper-1")
    assert openai.audio.translations.create(model=model, file=SOUND).text == HEARD
    verbose = openai.audio.translations.create(model=model, file=SOUND, response_format="verbose_json")
    assert (verbose.text, verbose.language) == (HEARD, "english")


def test_a_transcript_tells_how_likely_each_token_was(openai, target):
    wish = {"model": target.model("gpt-4o-mini-transcribe"), "file": SOUND, "include": ["logprobs"]}
    whole = openai.audio.transcriptions.create(**wish)
    assert "".join(token.token for token in whole.logprobs) == HEARD
    assert {token.logprob for token in whole.logprobs} == {-0.25}
    *deltas, done = list(openai.audio.transcriptions.create(**wish, stream=True))
    assert [delta.logprobs[0].token for delta in deltas] == [delta.delta for delta in deltas]
    assert len(done.logprobs) == len(deltas)


CHUNKING = {
    "auto": "auto",
    "by silence": {"type": "server_vad", "silence_duration_ms": 300, "threshold": 0.4},
}


@pytest.mark.parametrize("strategy", CHUNKING)
def test_the_way_to_cut_sound_reaches_the_provider(openai, target, upstream, strategy):
    answer = openai.audio.transcriptions.create(
        model=target.model("gpt-4o-mini-transcribe"), file=SOUND, chunking_strategy=CHUNKING[strategy]
    )
    assert answer.text == HEARD
    body = upstream.last_request()["body"]
    wanted = ["chunking_strategy"] if strategy == "auto" else ["chunking_strategy[type]", "server_vad", "0.4"]
    assert all(word in body for word in wanted), body


def test_speakers_are_told_apart(openai, target):
    answer = openai.audio.transcriptions.create(
        model=target.model("gpt-4o-transcribe-diarize"), file=SOUND, response_format="diarized_json"
    )
    (segment,) = answer.segments
    assert (segment.speaker, segment.text, answer.text) == ("A", HEARD, HEARD)
