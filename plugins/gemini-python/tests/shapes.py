"""Values like those that componentize-py makes from the contract: the same names and members."""

from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace


class Role(Enum):
    SYSTEM = 0
    DEVELOPER = 1
    USER = 2
    ASSISTANT = 3
    TOOL = 4


def _case(name):
    return dataclass(type(name, (), {"__annotations__": {"value": object}, "value": None}))


Part_Text = _case("Part_Text")
Part_Image = _case("Part_Image")
Part_Thinking = _case("Part_Thinking")
Part_ToolCall = _case("Part_ToolCall")
Part_ToolResult = _case("Part_ToolResult")
Part_Other = _case("Part_Other")
Tool_Function = _case("Tool_Function")
Tool_Other = _case("Tool_Other")
ToolContent_Text = _case("ToolContent_Text")
ToolContent_Image = _case("ToolContent_Image")
MediaSource_Blob = _case("MediaSource_Blob")
MediaSource_Url = _case("MediaSource_Url")
ToolChoice_Automatic = _case("ToolChoice_Automatic")
ToolChoice_None_ = _case("ToolChoice_None_")
ToolChoice_Named = _case("ToolChoice_Named")
ResponseFormat_Text = _case("ResponseFormat_Text")
ResponseFormat_JsonSchema = _case("ResponseFormat_JsonSchema")


class Blob:
    def __init__(self, name):
        self.name = name

    def content_type(self):
        return "image/png"


def record(**members):
    return SimpleNamespace(**members)


def message(role, *parts):
    return record(role=role, parts=list(parts), name=None)


def chat(*messages, **changes):
    """A request that asks for nothing special."""
    plain = dict.fromkeys(
        "parallel_tool_calls max_output_tokens temperature top_p seed frequency_penalty presence_penalty top_logprobs "
        "reasoning_effort end_user".split()
    )
    plain |= {"model": "gemini-2.5-flash", "messages": list(messages), "stream": True, "tools": [], "stop": []}
    plain |= {"tool_choice": ToolChoice_Automatic(), "response_format": ResponseFormat_Text(), "options": "{}"}
    return record(**(plain | changes))


def video(**changes):
    plain = dict.fromkeys(
        "negative_prompt size aspect_ratio duration_ms seed quality format background end_user".split()
    )
    plain |= {"model": "veo-3.0-generate-001", "task": "video-generation", "prompt": "a cat", "inputs": [], "count": 1}
    return record(**(plain | {"options": "{}"} | changes))


def media(blob, content_type=None):
    return record(source=MediaSource_Blob(blob), content_type=content_type, name=None)


def linked(url):
    return record(source=MediaSource_Url(url), content_type=None, name=None)
