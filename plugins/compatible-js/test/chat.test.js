import assert from "node:assert/strict";
import test from "node:test";

import { AnswerStream, wholeAnswer } from "../src/chat_answer.js";
import { chatBody } from "../src/chat_request.js";
import { jsonBody } from "../src/json_body.js";
import { chatUsage } from "../src/usage.js";

const REQUEST = {
  model: "m",
  messages: [{ role: "user", parts: [{ tag: "text", val: "hi" }] }],
  stream: true,
  tools: [],
  toolChoice: { tag: "automatic" },
  responseFormat: { tag: "text" },
  stop: [],
  options: "{}",
};

/** The body's bytes, with `<name>` where the host puts a blob. */
function sent(request, settings = {}) {
  const body = jsonBody(chatBody(request, settings));
  const segments = body.tag === "segments" ? body.val : [body];
  const decoder = new TextDecoder();
  return segments.map(({ tag, val }) => (tag === "bytes" ? decoder.decode(val) : `<${val.blob.name}>`)).join("");
}

function events(...data) {
  const stream = new AnswerStream();
  const found = data.flatMap((one) => stream.take(typeof one === "string" ? one : JSON.stringify(one)));
  stream.end();
  return found;
}

const chunk = (delta, finish_reason = null) => ({ id: "c", model: "m", choices: [{ index: 0, delta, finish_reason }] });

test("a request is a chat completion's body, its numbers as they were written", () => {
  const body = JSON.parse(sent({ ...REQUEST, temperature: 0.7, seed: 9007199254740993n, maxOutputTokens: 9 }));
  assert.deepEqual(body.messages, [{ role: "user", content: "hi" }]);
  assert.deepEqual(body.stream_options, { include_usage: true });
  assert.equal(body.temperature, 0.7);
  assert.match(sent({ ...REQUEST, seed: 9007199254740993n }), /"seed":9007199254740993[,}]/);
  assert.equal("stream_options" in JSON.parse(sent(REQUEST, { "stream-usage": false })), false);
});

test("an image stays with the host and is named in the body", () => {
  const source = { tag: "blob", val: { name: "cat", contentType: () => "image/png" } };
  const parts = [{ tag: "text", val: "what is this?" }, { tag: "image", val: { source, attributes: [{ name: "detail", value: "low" }] } }];
  const body = sent({ ...REQUEST, messages: [{ role: "user", parts }] });
  assert.deepEqual(JSON.parse(body).messages[0].content[1].image_url, { url: "data:image/png;base64,<cat>", detail: "low" });
});

test("tools, their calls and their results take the provider's shapes", () => {
  const schema = '{"type":"object","properties":{"x":{"const":12345678901234567890}}}';
  const messages = [
    { role: "assistant", parts: [{ tag: "tool-call", val: { id: "1", name: "f", arguments: "{}", signature: "s" } }] },
    { role: "tool", parts: [{ tag: "tool-result", val: { toolCallId: "1", content: [{ tag: "text", val: "sunny" }], isError: false } }] },
  ];
  const tools = [{ tag: "function", val: { name: "f", parameters: schema, strict: true } }];
  const text = sent({ ...REQUEST, messages, tools, toolChoice: { tag: "named", val: "f" } });
  assert.ok(text.includes(schema), "a schema is passed on as it is");
  const body = JSON.parse(text);
  assert.deepEqual(body.messages[0].content, null);
  assert.deepEqual(body.messages[0].tool_calls[0].extra_content, { google: { thought_signature: "s" } });
  assert.deepEqual(body.messages[1], { role: "tool", tool_call_id: "1", content: "sunny" });
  assert.deepEqual(body.tool_choice, { type: "function", function: { name: "f" } });
});

test("what the plugin cannot send is refused by its place", () => {
  const parts = [{ tag: "audio", val: {} }, { tag: "text", val: "x" }];
  const wrong = { ...REQUEST, messages: [{ role: "user", parts }] };
  assert.throws(() => sent(wrong), { code: "unsupported", param: "messages.0.parts.0" });
  const tools = [{ tag: "other", val: { kind: "gemini.tool", json: "{}" } }];
  assert.throws(() => sent({ ...REQUEST, tools }), { code: "unsupported", param: "tools.0" });
  assert.throws(() => sent({ ...REQUEST, options: '{"model":"other"}' }), { code: "invalid-request", param: "options.model" });
  assert.throws(() => sent({ ...REQUEST, options: '{"big":9007199254740993}' }), { param: "options.big" });
});

test("a stream is started, text, tool calls, finished and usage", () => {
  const call = (part) => chunk({ tool_calls: [{ index: 0, ...part }] });
  const found = events(
    chunk({ role: "assistant", content: "" }),
    chunk({ content: "Hel" }),
    chunk({ content: "lo" }),
    call({ id: "t1", function: { name: "f", arguments: "" } }),
    call({ function: { arguments: '{"a":' } }),
    call({ function: { arguments: "1}" } }),
    chunk({}, "tool_calls"),
    { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } },
    "[DONE]",
  );
  assert.deepEqual(found.map(({ tag }) => tag), [
    "started", "text", "text", "tool-call-start", "tool-call-delta", "tool-call-delta", "finished", "usage",
  ]);
  assert.deepEqual(found.at(-2).val, { tag: "tool-calls" });
});

test("a stream without its end, or with an error in it, never finishes", () => {
  assert.throws(() => events(chunk({ content: "Hel" }), chunk({}, "stop")), { code: "unavailable" });
  assert.throws(() => events(chunk({ content: "Hel" }), "[DONE]"), { code: "unavailable" });
  const error = { error: { message: "busy", code: "engine_overloaded" } };
  assert.throws(() => events(chunk({ content: "x" }), error), { code: "overloaded", message: "busy" });
  assert.throws(() => events("{"), { code: "bad-response" });
});

test("an answer in one piece has the same events", () => {
  const message = { content: "hi", reasoning_content: "hm" };
  const found = wholeAnswer({ id: "c", model: "m", choices: [{ message, finish_reason: "stop" }] });
  assert.deepEqual(found.map(({ tag }) => tag), ["started", "thinking", "text", "finished"]);
  assert.throws(() => wholeAnswer({ choices: [] }), { code: "bad-response" });
});

test("usage lines do not overlap and never exceed the total", () => {
  const flat = (usage) => chatUsage(usage).map(({ meter, quantity, attributes }) => {
    return [meter, Number(quantity), ...attributes.map(({ name, value }) => `${name}=${value}`)].join(" ");
  });
  assert.deepEqual(flat({
    prompt_tokens: 100,
    completion_tokens: 50,
    prompt_tokens_details: { cached_tokens: 60, audio_tokens: 10 },
    completion_tokens_details: { reasoning_tokens: 30 },
  }), [
    "input-tokens 30", "input-tokens 60 cached=true", "input-tokens 10 modality=audio", "output-tokens 20",
    "output-tokens 30 reasoning=true",
  ]);
  assert.deepEqual(flat({ prompt_tokens: 5, prompt_tokens_details: { cached_tokens: 9 } }), [
    "input-tokens 5 cached=true", "output-tokens 0",
  ]);
});
