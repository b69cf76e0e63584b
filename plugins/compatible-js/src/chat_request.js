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
    temperature: request.temperature,
    top_p: request.topP,
    stop: request.stop.length > 0 ? request.stop : undefined,
    seed: request.seed,
    frequency_penalty: request.frequencyPenalty,
    presence_penalty: request.presencePenalty,
    logprobs: request.topLogprobs === undefined ? undefined : true,
    top_logprobs: request.topLogprobs,
    reasoning_effort: request.reasoningEffort,
    user: request.endUser,
    ...openOptions(request.options, RESERVED),
  };
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
  const answered = results.map(({ val }) => {
    return { role: "tool", tool_call_id: val.toolCallId, content: toolText(val.content, `${path}.parts`) };
  });
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

/** What a tool answered: text is all that this API takes from tools. */
function toolText(content, path) {
  if (content.some(({ tag }) => tag !== "text")) {
    throw unsupported("this provider takes text alone from tools: say it in a user's message", path);
  }
  return content.map(({ val }) => val).join("");
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
      return { type: "image_url", image_url: { url: address(val), detail: attribute(val, "detail") } };
    default:
      throw unsupported(`this plugin sends text and images, not \`${tag}\``, path);
  }
}

function attribute(media, name) {
  return media.attributes.find((pair) => pair.name === name)?.value;
}

function address(media) {
  if (media.source.tag === "url") return media.source.val;
  const blob = media.source.val;
  return new BlobText(`data:${media.contentType ?? blob.contentType()};base64,`, blob);
}

function toolCall({ val }) {
  const signature = val.signature;
  return {
    id: val.id,
    type: "function",
    function: { name: val.name, arguments: val.arguments },
    // Where Google's compatible API keeps a call's proof of origin.
    extra_content: signature === undefined ? undefined : { google: { thought_signature: signature } },
  };
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
    tools: request.tools.map(tool),
    tool_choice: choices[choice.tag],
    parallel_tool_calls: request.parallelToolCalls,
  };
}

function tool({ tag, val }, place) {
  if (tag !== "function") throw unsupported("this plugin sends functions alone as tools", `tools.${place}`);
  return {
    type: "function",
    function: {
      name: val.name,
      description: val.description,
      parameters: new RawJson(val.parameters),
      strict: val.strict || undefined,
    },
  };
}

function responseFormat({ tag, val }) {
  switch (tag) {
    case "text":
      return undefined;
    case "json-object":
      return { type: "json_object" };
    case "other":
      throw unsupported("this plugin knows no such answers", "response_format");
    default: {
      const { name, description, schema, strict } = val;
      return { type: "json_schema", json_schema: { name, description, schema: new RawJson(schema), strict } };
    }
  }
}
