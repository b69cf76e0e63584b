import json

import pytest

QUESTION = "How does a sandbox keep what it holds from reaching the rest of the machine?"
ANSWER = f"Hello from the mock: {QUESTION}"
MESSAGES = [{"role": "user", "content": QUESTION}]


def test_a_plain_answer_has_text_usage_and_the_model_that_was_asked_for(openai, target):
    model = target.model("mock-chat")
    answer = openai.chat.completions.create(model=model, messages=MESSAGES)
    assert (answer.object, answer.model) == ("chat.completion", model)
    assert answer.id.startswith("chatcmpl-")
    assert answer.created > 1_700_000_000
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert (choice.message.role, choice.message.content) == ("assistant", ANSWER)
    assert choice.message.refusal is None
    assert not choice.message.tool_calls
    words = len(QUESTION.split())
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (words, words + 4)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_says_the_same_in_pieces_and_ends_with_its_usage(openai, target):
    model = target.model("mock-chat")
    stream = openai.chat.completions.create(
        model=model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    *said, last = chunks
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk.model for chunk in chunks} == {model}
    assert len({chunk.id for chunk in chunks}) == 1
    assert said[0].choices[0].delta.role == "assistant"
    texts = [chunk.choices[0].delta.content for chunk in said if chunk.choices[0].delta.content]
    assert "".join(texts) == ANSWER
    assert len(texts) > 1
    assert [chunk.choices[0].finish_reason for chunk in said if chunk.choices[0].finish_reason] == ["stop"]
    assert said[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in said)
    assert last.choices == []
    assert last.usage.completion_tokens == len(ANSWER.split())
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens


def test_usage_comes_in_a_stream_only_when_it_is_asked_for(openai, target):
    stream = openai.chat.completions.create(model=target.model("mock-chat"), messages=MESSAGES, stream=True)
    chunks = list(stream)
    assert all(chunk.usage is None for chunk in chunks)
    assert all(len(chunk.choices) == 1 for chunk in chunks)


def test_a_stream_comes_as_server_sent_events_that_no_proxy_holds_back(host_openai):
    with host_openai.chat.completions.with_streaming_response.create(
        model="mock/mock-chat", messages=MESSAGES, stream=True
    ) as answer:
        assert answer.headers["content-type"].split(";")[0] == "text/event-stream"
        assert answer.headers["x-accel-buffering"] == "no"
        lines = [line for line in answer.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"


def test_the_client_s_stream_helper_puts_the_answer_together(openai, target):
    with openai.chat.completions.stream(model=target.model("mock-chat"), messages=MESSAGES) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        whole = stream.get_final_completion()
    assert "".join(deltas) == ANSWER
    assert whole.choices[0].message.content == ANSWER


def test_a_bounded_answer_says_that_it_was_cut_short(openai, target):
    answer = openai.chat.completions.create(
        model=target.model("mock-chat"), messages=MESSAGES, max_completion_tokens=2
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content.split() == ["Hello", "from"]
    assert answer.usage.completion_tokens == 2


@pytest.mark.parametrize("stop", ["mock", ["nowhere", "mock"]])
def test_a_stop_sequence_ends_the_answer_before_itself(openai, target, stop):
    answer = openai.chat.completions.create(model=target.model("mock-chat"), messages=MESSAGES, stop=stop)
    assert answer.choices[0].message.content == "Hello from the "
    assert answer.choices[0].finish_reason == "stop"


def test_a_conversation_keeps_its_turns_and_its_instructions(openai, target, upstream):
    openai.chat.completions.create(
        model=target.model("mock-chat"),
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Answer in verse."},
            {"role": "user", "content": "Who are you?", "name": "ada"},
            {"role": "assistant", "content": "A mock."},
            {"role": "user", "content": [{"type": "text", "text": "And who am I?"}]},
        ],
    )
    body = upstream.last_request()["body"]
    turns = ("Be brief.", "Answer in verse.", "Who are you?", "A mock.", "And who am I?")
    places = [body.index(text) for text in turns]
    assert places == sorted(places), body


def test_sampling_settings_reach_the_provider(openai, target, upstream):
    openai.chat.completions.create(
        model=target.model("mock-chat"),
        messages=MESSAGES,
        temperature=0.7,
        top_p=0.95,
        seed=7,
        frequency_penalty=0.1,
        presence_penalty=-0.3,
    )
    sent = json.loads(upstream.last_request()["body"])
    settings = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
    assert [sent.get(name) for name in settings] == [0.7, 0.95, 7, 0.1, -0.3]


# Members of the request as the client documents them, beside those that other tests send.
DOCUMENTED = {
    "logit_bias": {"50256": -100},
    "metadata": {"purpose": "test"},
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "Hello"},
    "prompt_cache_key": "suite",
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "in_memory",
    "reasoning_effort": "low",
    "safety_identifier": "user-1",
    "service_tier": "auto",
    "store": False,
    "user": "user-1",
    "verbosity": "low",
}


@pytest.mark.parametrize("member", DOCUMENTED)
def test_a_documented_member_is_taken(host_openai, member):
    answer = host_openai.chat.completions.create(
        model="mock/mock-chat", messages=MESSAGES, extra_body={member: DOCUMENTED[member]}
    )
    assert answer.choices[0].message.content == ANSWER


def test_a_request_has_an_id_in_its_answer(openai, target):
    answer = openai.chat.completions.create(model=target.model("mock-chat"), messages=MESSAGES)
    assert answer._request_id


def test_a_caller_s_own_request_id_comes_back_and_goes_on_to_the_provider(host_openai, upstream):
    answer = host_openai.chat.completions.create(
        model="mock/mock-chat", messages=MESSAGES, extra_headers={"x-request-id": "suite-4711"}
    )
    assert answer._request_id == "suite-4711"
    headers = {name: value for name, value in upstream.last_request()["headers"]}
    assert headers.get("x-request-id") == "suite-4711"


def test_the_caller_s_key_never_reaches_the_provider(host, host_openai, upstream):
    host_openai.chat.completions.create(model="mock/mock-chat", messages=MESSAGES)
    request = upstream.last_request()
    headers = dict(request["headers"])
    assert headers["authorization"].startswith("Bearer sk-")
    assert host.key not in str(request)


def test_several_answers_come_with_one_question(openai, target):
    answer = openai.chat.completions.create(model=target.model("mock-chat"), messages=MESSAGES, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert all(choice.message.content and choice.finish_reason == "stop" for choice in answer.choices)
    assert answer.usage.completion_tokens > 0


def test_a_verdict_on_what_was_said_comes_with_the_answer(openai, target):
    answer = openai.chat.completions.create(
        model=target.model("mock-chat"), messages=MESSAGES, moderation={"model": "omni-moderation-latest"}
    )
    assert answer.moderation.input.type == "moderation_results"
    assert not answer.moderation.output.results[0].flagged
