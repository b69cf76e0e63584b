import json

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather at a place",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
                "required": ["city", "days"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }
]
ARGUMENTS = {"city": "Paris", "days": 1}
MESSAGES = [{"role": "user", "content": "What is the weather in Paris?"}]


def test_a_tool_is_called_with_arguments_of_its_schema(openai, target):
    answer = openai.chat.completions.create(model=target.model("mock-chat"), messages=MESSAGES, tools=TOOLS)
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "get_weather")
    assert call.id
    assert json.loads(call.function.arguments) == ARGUMENTS


def test_a_streamed_tool_call_comes_in_pieces_of_one_index(openai, target):
    stream = openai.chat.completions.create(
        model=target.model("mock-chat"), messages=MESSAGES, tools=TOOLS, stream=True
    )
    choices = [chunk.choices[0] for chunk in stream]
    pieces = [piece for choice in choices for piece in choice.delta.tool_calls or []]
    assert {piece.index for piece in pieces} == {0}
    assert [piece.id for piece in pieces if piece.id] == [pieces[0].id]
    assert [piece.function.name for piece in pieces if piece.function.name] == ["get_weather"]
    assert json.loads("".join(piece.function.arguments or "" for piece in pieces)) == ARGUMENTS
    assert len(pieces) > 2
    assert choices[-1].finish_reason == "tool_calls"


def test_a_tool_s_result_goes_back_and_the_model_goes_on(openai, target):
    model = target.model("mock-chat")
    asked = openai.chat.completions.create(model=model, messages=MESSAGES, tools=TOOLS).choices[0].message
    result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "18 degrees"}
    # The answer goes back as the client got it.
    answer = openai.chat.completions.create(model=model, messages=[*MESSAGES, asked, result], tools=TOOLS)
    assert answer.choices[0].finish_reason == "stop"
    assert "(the tool said: 18 degrees)" in answer.choices[0].message.content


def test_a_tool_can_be_demanded_by_name_and_forbidden(openai, target):
    model = target.model("mock-chat")
    hello = [{"role": "user", "content": "Hello"}]
    named = {"type": "function", "function": {"name": "get_weather"}}
    for choice in ("required", named):
        answer = openai.chat.completions.create(model=model, messages=hello, tools=TOOLS, tool_choice=choice)
        assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"
    answer = openai.chat.completions.create(model=model, messages=MESSAGES, tools=TOOLS, tool_choice="none")
    assert not answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "stop"
