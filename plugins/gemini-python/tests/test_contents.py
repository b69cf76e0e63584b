import json
import unittest

from gemini import contents, json_text
from gemini.failure import Failure

from . import shapes
from .shapes import Role, message, record


def sent(request):
    """The body's text, with `<name>` where the host puts a blob."""
    pieces = json_text.pieces(contents.body(request))
    return "".join(piece if isinstance(piece, str) else f"<{piece.blob.name}>" for piece in pieces)


def body(request):
    return json.loads(sent(request))


def said(text):
    return message(Role.USER, shapes.Part_Text(text))


def result(id, *content, is_error=False):
    return shapes.Part_ToolResult(record(tool_call_id=id, content=list(content), is_error=is_error))


class Body(unittest.TestCase):
    def refused(self, code, param, request):
        with self.assertRaises(Failure) as raised:
            contents.body(request)
        self.assertEqual((raised.exception.code, raised.exception.param), (code, param))

    def test_the_system_speaks_apart_and_neighbours_of_one_role_are_one_turn(self):
        system = message(Role.SYSTEM, shapes.Part_Text("Be brief."))
        found = body(shapes.chat(system, said("hi"), said("there")))
        self.assertEqual(found["systemInstruction"], {"parts": [{"text": "Be brief."}]})
        self.assertEqual(found["contents"], [{"role": "user", "parts": [{"text": "hi"}, {"text": "there"}]}])
        self.assertNotIn("tools", found)

    def test_numbers_go_as_they_were_written(self):
        text = sent(shapes.chat(said("hi"), temperature=0.7, seed=9007199254740993))
        self.assertIn('"temperature":0.7,', text)
        self.assertIn('"seed":9007199254740993', text)

    def test_an_image_stays_with_the_host_and_a_link_with_the_provider(self):
        image = shapes.Part_Image(shapes.media(shapes.Blob("cat")))
        link = shapes.Part_Image(shapes.linked("https://x.example/a.png"))
        parts = body(shapes.chat(message(Role.USER, image, link)))["contents"][0]["parts"]
        self.assertEqual(parts[0], {"inlineData": {"mimeType": "image/png", "data": "<cat>"}})
        self.assertEqual(parts[1], {"fileData": {"fileUri": "https://x.example/a.png"}})

    def test_calls_go_back_with_their_proof_and_results_with_the_name_of_their_tool(self):
        thinking = shapes.Part_Thinking(record(text="hm", signature="c2ln"))
        calls = [
            shapes.Part_ToolCall(record(id=id, name="weather", arguments='{"x":1}', signature=signature))
            for id, signature in (("a", None), ("b", "b3du"))
        ]
        seen = shapes.ToolContent_Image(shapes.media(shapes.Blob("sky")))
        results = [
            message(Role.TOOL, result("a", shapes.ToolContent_Text("sun"))),
            message(Role.TOOL, result("b", shapes.ToolContent_Text("sun"), seen, is_error=True)),
        ]
        turns = body(shapes.chat(said("?"), message(Role.ASSISTANT, thinking, *calls), *results))["contents"]
        self.assertEqual([turn["role"] for turn in turns], ["user", "model", "user"])
        call = {"name": "weather", "args": {"x": 1}, "id": "a"}
        self.assertEqual(turns[1]["parts"][0], {"functionCall": call, "thoughtSignature": "c2ln"})
        self.assertEqual(turns[1]["parts"][1]["thoughtSignature"], "b3du")
        responses = [part["functionResponse"] for part in turns[2]["parts"]]
        self.assertEqual(responses[0], {"name": "weather", "response": {"output": "sun"}, "id": "a"})
        self.assertEqual(responses[1]["response"], {"error": "sun"})
        self.assertEqual(responses[1]["parts"], [{"inlineData": {"mimeType": "image/png", "data": "<sky>"}}])

    def test_tools_and_schemas_are_passed_on_as_they_are(self):
        schema = '{"type":"object","properties":{"x":{"const":12345678901234567890.50}}}'
        tool = shapes.Tool_Function(record(name="f", description=None, parameters=schema, strict=True))
        format = shapes.ResponseFormat_JsonSchema(record(name="n", description=None, schema=schema, strict=True))
        text = sent(shapes.chat(said("hi"), tools=[tool], response_format=format))
        self.assertIn(f'"parametersJsonSchema":{schema}', text)
        self.assertIn(f'"responseJsonSchema":{schema}', text)
        self.assertEqual(json.loads(text)["toolConfig"], {"functionCallingConfig": {"mode": "VALIDATED"}})
        named = shapes.chat(said("hi"), tools=[tool], tool_choice=shapes.ToolChoice_Named("f"))
        calling = {"mode": "ANY", "allowedFunctionNames": ["f"]}
        self.assertEqual(body(named)["toolConfig"], {"functionCallingConfig": calling})
        none = shapes.chat(said("hi"), tools=[tool], tool_choice=shapes.ToolChoice_None_())
        self.assertEqual(body(none)["toolConfig"], {"functionCallingConfig": {"mode": "NONE"}})
        own = shapes.Tool_Other(record(kind="gemini.tool", json='{"googleSearch":{}}'))
        self.assertEqual(body(shapes.chat(said("hi"), tools=[own]))["tools"], [{"googleSearch": {}}])
        foreign = shapes.Tool_Other(record(kind="openai.tool", json="{}"))
        self.refused("unsupported", "tools.0", shapes.chat(said("hi"), tools=[foreign]))

    def test_an_effort_is_a_budget_or_a_level(self):
        def thinking(model, effort):
            found = body(shapes.chat(said("hi"), model=model, reasoning_effort=effort))
            return found["generationConfig"]["thinkingConfig"]

        self.assertEqual(thinking("gemini-2.5-flash", "none"), {"thinkingBudget": 0})
        self.assertEqual(thinking("gemini-3-pro-preview", "low"), {"thinkingLevel": "low"})
        self.refused("invalid-request", "reasoning_effort", shapes.chat(said("hi"), reasoning_effort="vast"))

    def test_options_join_the_body_but_never_replace_the_request(self):
        options = '{"safetySettings":[],"generationConfig":{"topK":3}}'
        found = body(shapes.chat(said("hi"), top_p=0.5, options=options))
        self.assertEqual(found["generationConfig"], {"topP": 0.5, "topK": 3})
        self.assertEqual(found["safetySettings"], [])
        self.refused("invalid-request", "options.contents", shapes.chat(said("hi"), options='{"contents":[]}'))
        nested = shapes.chat(said("hi"), options='{"generationConfig":{"seed":1}}')
        self.refused("invalid-request", "options.generationConfig.seed", nested)

    def test_what_cannot_be_sent_is_refused_by_its_place(self):
        stray = message(Role.TOOL, result("x"))
        self.refused("invalid-request", "messages.0.parts.0", shapes.chat(stray))
        broken = shapes.Part_ToolCall(record(id="a", name="f", arguments="{", signature=None))
        self.refused(
            "invalid-request", "messages.0.parts.0.arguments", shapes.chat(message(Role.ASSISTANT, broken))
        )
        foreign = shapes.Part_Other(record(kind="openai.part", json="{}"))
        self.refused("unsupported", "messages.0.parts.0", shapes.chat(message(Role.USER, foreign)))
        self.refused("unsupported", "parallel_tool_calls", shapes.chat(said("hi"), parallel_tool_calls=False))
        self.refused("invalid-request", "messages", shapes.chat())
