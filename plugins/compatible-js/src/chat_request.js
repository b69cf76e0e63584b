// A chat request as the body of a chat completion.

import { unsupported, invalid } from "./failure.js";
import { BlobText, RawJson, openOptions } from "./json_body.js";

/** Fields that the request decides, not its options. */
const RESERVED = [
  "model", "messages", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "response_format",
  "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed", "frequency_penalty",
  "presence_penalty", "logprobs", "top_logprobs", "reasoning_effort", "user", "n",
];

/** The body, with blobs and raw JSON in it for `jsonBody`. */
export function chatBody(request, settings) {
  const usage = request.stream && settings["stream-usage"] !== false;
  return {
    model: request.model,
    messages: request.messages.flatMap((message, place) => messages(message, `messages.${place}`)),
    stream: request.stream || undefined,
    stream_options: usage ? { include_usage: true } : undefined,
    ...tools(request),
    response_format: responseFormat(request.responseFormat),
    max_tokens: request.maxOutputTokens,
    temperature: rounded(request.temperature),
    top_p: rounded(request.topP),
    stop: request.stop.length > 0 ? request.stop : undefined,
    seed: request.seed,
    frequency_penalty: rounded(request.frequencyPenalty),
    presence_penalty: rounded(request.presencePenalty),
    logprobs: request.topLogprobs === undefined ? undefined : true,
    top_logprobs: request.topLogprobs,
    reasoning_effort: request.reasoningEffort,
    user: request.endUser,
    ...openOptions(request.options, RESERVED),
  };
}

/** An `f32` as the shortest decimal that means it: as a JavaScript number 0.7 would be 0.699999988079071. */
function rounded(value) {
  if (value === undefined) return undefined;
  for (let digits = 1; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/** One message of the contract is one message of the provider's for each tool result, and one for the rest. */
function messages(message, path) {
  const results = message.parts.filter((part) => part.tag === "tool-result");
  const calls = message.parts.filter((part) => part.tag === "tool-call");
  // Chat completions take no thinking back.
  const content = message.parts.filter((part) => !["tool-result", "tool-call", "thinking"].includes(part.tag));
  if (message.role === "tool" && (content.length > 0 || calls.length > 0)) {
    throw invalid(`${path}.parts`, "a message of the role `tool` holds tool results only");
  }
  const answered = results.map(({ val }) => ({ role: "tool", tool_call_id: val.toolCallId, content: val.content }));
  if (message.role === "tool" || (results.length > 0 && content.length === 0 && calls.length === 0)) return answered;
  const rest = {
    // Compatible servers rarely know `developer`.
    role: message.role === "developer" ? "system" : message.role,
    name: message.name,
    content: contents(content, calls.length > 0, path),
    tool_calls: calls.length > 0 ? calls.map(toolCall) : undefined,
  };
  return [...answered, rest];
}

function contents(parts, hasCalls, path) {
  if (parts.length === 0) return hasCalls ? null : "";
  if (parts.length === 1 && parts[0].tag === "text") return parts[0].val;
  return parts.map((part, place) => piece(part, `${path}.parts.${place}`));
}

function piece({ tag, val }, path) {
  switch (tag) {
    case "text":
      return { type: "text", text: val };
    case "refusal":
      return { type: "refusal", refusal: val };
    case "image":
      return { type: "image_url", image_url: { url: address(val) } };
    default:
      throw unsupported(`this plugin sends text and images, not \`${tag}\``, path);
  }
}

function address(media) {
  if (media.source.tag === "url") return media.source.val;
  const blob = media.source.val;
  return new BlobText(`data:${media.contentType ?? blob.contentType()};base64,`, blob);
}

function toolCall({ val }) {
  return { id: val.id, type: "function", function: { name: val.name, arguments: val.arguments } };
}

function tools(request) {
  if (request.tools.length === 0) return {};
  const choice = request.toolChoice;
  const choices = {
    "automatic": undefined,
    "none": "none",
    "required": "required",
    "named": { type: "function", function: { name: choice.val } },
  };
  return {
    tools: request.tools.map((tool) => ({
      type: "function",
      function: {
        name: tool.name,
        description: tool.description,
        parameters: new RawJson(tool.parameters),
        strict: tool.strict || undefined,
      },
    })),
    tool_choice: choices[choice.tag],
    parallel_tool_calls: request.parallelToolCalls,
  };
}

function responseFormat({ tag, val }) {
  switch (tag) {
    case "text":
      return undefined;
    case "json-object":
      return { type: "json_object" };
    default: {
      const { name, description, schema, strict } = val;
      return { type: "json_schema", json_schema: { name, description, schema: new RawJson(schema), strict } };
    }
  }
}
