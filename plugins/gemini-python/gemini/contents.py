"""A chat request as the body of `generateContent` (https://ai.google.dev/api/generate-content)."""

import json

from . import json_text
from .failure import invalid, unsupported
from .variant import case

# Members that the request decides, not its options.
RESERVED = ["model", "contents", "systemInstruction", "tools", "toolConfig"]
RESERVED_GENERATION = [
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "candidateCount",
    "maxOutputTokens",
    "temperature",
    "topP",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
]

# Tokens for each effort, as Google's own compatibility layer counts them.
BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def body(request):
    """The body as a value for `json_text.pieces`."""
    options = json_text.options(request.options, RESERVED)
    own = options.pop("generationConfig", {})
    if not isinstance(own, dict):
        raise invalid("options.generationConfig", "this is not an object")
    for name in RESERVED_GENERATION:
        if name in own:
            raise invalid(f"options.generationConfig.{name}", "the request has a field of its own for this")
    if request.parallel_tool_calls is False:
        raise unsupported("this provider's models may always call several tools at once", "parallel_tool_calls")
    instruction, contents = _conversation(request.messages)
    config = _generation(request)
    if "thinkingConfig" in own and "thinkingConfig" in config:
        raise invalid("options.generationConfig.thinkingConfig", "the request says `reasoning_effort` already")
    return {
        "systemInstruction": {"parts": instruction} if instruction else None,
        "contents": contents,
        **_tools(request),
        "generationConfig": {**config, **own} or None,
        **options,
    }


def _conversation(messages):
    """The system's parts, and the turns; neighbours of one role are one turn, as parallel results have to be."""
    instruction, turns, names = [], [], {}
    for place, message in enumerate(messages):
        path = f"messages.{place}.parts"
        if message.role.name in ("SYSTEM", "DEVELOPER"):
            for at, part in enumerate(message.parts):
                if case(part) != "Text":
                    raise unsupported("this provider takes instructions as text only", f"{path}.{at}")
                instruction.append({"text": part.value})
            continue
        role = "model" if message.role.name == "ASSISTANT" else "user"
        parts = _parts(message.parts, path, names)
        if not parts:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": role, "parts": parts})
    if not turns:
        raise invalid("messages", "the conversation says nothing")
    return instruction, turns


def _parts(parts, path, names):
    found, signature = [], None
    for place, part in enumerate(parts):
        if case(part) == "Thinking":
            # The proof belongs to the part that follows it.
            signature = part.value.signature or signature
            continue
        piece = _part(part, f"{path}.{place}", names)
        if signature is not None:
            piece["thoughtSignature"] = signature
            signature = None
        found.append(piece)
    if signature is not None:
        found.append({"text": "", "thoughtSignature": signature})
    return found


def _part(part, path, names):
    value = part.value
    match case(part):
        case "Text" | "Refusal":
            return {"text": value}
        case "Image" | "Audio" | "File":
            return media(value)
        case "ToolCall":
            names[value.id] = value.name
            call = {"name": value.name, "args": _arguments(value.arguments, path), "id": value.id or None}
            return {"functionCall": call, "thoughtSignature": value.signature}
        case "ToolResult":
            if value.tool_call_id not in names:
                raise invalid(path, f"no message before this one calls a tool with the id {value.tool_call_id!r}")
            text, found = _tool_content(value.content, path)
            return {
                "functionResponse": {
                    "name": names[value.tool_call_id],
                    "response": {"error" if value.is_error else "output": text},
                    "parts": found or None,
                    "id": value.tool_call_id,
                }
            }
        case "Other" if value.kind == "gemini.part":
            return json_text.options(value.json, [])
    raise unsupported(f"this provider has no content of the kind {case(part)}", path)


def _tool_content(content, path):
    """What a tool answered: its text, and its media as parts."""
    text, found = "", []
    for place, piece in enumerate(content):
        if case(piece) == "Text":
            text += piece.value
        elif case(piece) in ("Image", "File"):
            found.append(media(piece.value))
        else:
            raise unsupported("this provider has no content of this kind", f"{path}.content.{place}")
    return text, found


def media(medium):
    """A medium: its bytes while sending, or an address that the provider fetches."""
    source = medium.source.value
    if case(medium.source) == "Url":
        return {"fileData": {"mimeType": medium.content_type, "fileUri": source}}
    content_type = medium.content_type or source.content_type()
    return {"inlineData": {"mimeType": content_type, "data": json_text.Base64(source)}}


def _arguments(text, path):
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise invalid(f"{path}.arguments", "this provider takes arguments back as JSON only") from error
    if not isinstance(value, dict):
        raise invalid(f"{path}.arguments", "the arguments are not an object")
    return json_text.Raw(text or "{}")


def _tools(request):
    if not request.tools:
        return {}
    functions = [tool.value for tool in request.tools if case(tool) == "Function"]
    declarations = [
        {
            "name": function.name,
            "description": function.description,
            "parametersJsonSchema": json_text.Raw(function.parameters),
        }
        for function in functions
    ]
    strict = any(function.strict for function in functions)
    tools = [{"functionDeclarations": declarations}] if declarations else []
    for place, tool in enumerate(request.tools):
        if case(tool) == "Other":
            if not tool.value.kind.startswith("gemini."):
                raise unsupported("this provider has no tool of this kind", f"tools.{place}")
            tools.append(json_text.options(tool.value.json, []))
    modes = {"Automatic": "VALIDATED" if strict else None, "None": "NONE", "Required": "ANY", "Named": "ANY"}
    mode = modes[case(request.tool_choice)]
    named = [request.tool_choice.value] if case(request.tool_choice) == "Named" else None
    calling = {"functionCallingConfig": {"mode": mode, "allowedFunctionNames": named}} if mode else None
    return {"tools": tools, "toolConfig": calling}


def _generation(request):
    config = {
        "stopSequences": request.stop or None,
        "maxOutputTokens": request.max_output_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "seed": request.seed,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
        "responseLogprobs": True if request.top_logprobs is not None else None,
        "logprobs": request.top_logprobs,
        "thinkingConfig": _thinking(request.model, request.reasoning_effort),
    }
    if case(request.response_format) == "Other":
        raise unsupported("this provider has no answers of this kind", "response_format")
    if case(request.response_format) != "Text":
        config["responseMimeType"] = "application/json"
    if case(request.response_format) == "JsonSchema":
        config["responseJsonSchema"] = json_text.Raw(request.response_format.value.schema)
    return {name: value for name, value in config.items() if value is not None}


def _thinking(model, effort):
    """Older models are told a budget, newer ones a level."""
    if effort is None:
        return None
    if not model.startswith(("gemini-2", "gemini-1")):
        return {"thinkingLevel": effort}
    if effort not in BUDGETS:
        known = ", ".join(BUDGETS)
        raise invalid("reasoning_effort", f"this model has the efforts {known}")
    return {"thinkingBudget": BUDGETS[effort]}
