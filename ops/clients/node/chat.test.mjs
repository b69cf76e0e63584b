import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { PNG, collected, isolated, targets, upstream } from "./targets.mjs";

const QUESTION = "How does a sandbox keep what it holds?";
const ANSWER = `Hello from the mock: ${QUESTION}`;
const MESSAGES = [{ role: "user", content: QUESTION }];
const WEATHER = [{ role: "user", content: "What is the weather in Paris?" }];
const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer", minimum: 1 } },
  required: ["city", "days"],
  additionalProperties: false,
};
const TOOLS = [{ type: "function", function: { name: "get_weather", parameters: SCHEMA, strict: true } }];

for (const target of targets) {
  describe(`chat completions of the ${target.name}`, () => {
    isolated();
    const client = target.openai();
    const model = target.model("mock-chat");

    test("a plain answer has text, usage and the model that was asked for", async () => {
      const answer = await client.chat.completions.create({ model, messages: MESSAGES });
      assert.equal(answer.model, model);
      assert.match(answer.id, /^chatcmpl-/);
      assert.equal(answer.choices.length, 1);
      assert.equal(answer.choices[0].finish_reason, "stop");
      assert.equal(answer.choices[0].message.content, ANSWER);
      assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
      assert.ok(answer._request_id);
    });

    test("a stream says the same in pieces and ends with its usage", async () => {
      const wish = { model, messages: MESSAGES, stream: true, stream_options: { include_usage: true } };
      const chunks = await collected(await client.chat.completions.create(wish));
      const last = chunks.pop();
      const texts = chunks.map((chunk) => chunk.choices[0].delta.content).filter(Boolean);
      assert.ok(texts.length > 1);
      assert.equal(texts.join(""), ANSWER);
      assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
      assert.ok(chunks.every((chunk) => chunk.usage === null));
      assert.deepEqual(last.choices, []);
      assert.equal(last.usage.completion_tokens, ANSWER.split(" ").length);
    });

    test("the client's stream helper puts the answer together", async () => {
      const whole = await client.chat.completions.stream({ model, messages: MESSAGES }).finalChatCompletion();
      assert.equal(whole.choices[0].message.content, ANSWER);
    });

    test("a tool is called, its result goes back, and the model goes on", async () => {
      const asked = await client.chat.completions.create({ model, messages: WEATHER, tools: TOOLS });
      const { finish_reason, message } = asked.choices[0];
      assert.equal(finish_reason, "tool_calls");
      const [call] = message.tool_calls;
      assert.equal(call.function.name, "get_weather");
      assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris", days: 1 });
      const result = { role: "tool", tool_call_id: call.id, content: "18 degrees" };
      const messages = [...WEATHER, message, result];
      const answer = await client.chat.completions.create({ model, messages, tools: TOOLS });
      assert.match(answer.choices[0].message.content, /\(the tool said: 18 degrees\)/);
    });

    test("a streamed tool call is put together by the client", async () => {
      const stream = client.chat.completions.stream({ model, messages: WEATHER, tools: TOOLS });
      const [call] = (await stream.finalMessage()).tool_calls;
      assert.ok(call.id);
      assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris", days: 1 });
    });

    test("a picture reaches the model", async () => {
      const image_url = { url: `data:image/png;base64,${PNG.toString("base64")}` };
      const content = [{ type: "text", text: "What is this?" }, { type: "image_url", image_url }];
      const answer = await client.chat.completions.create({ model, messages: [{ role: "user", content }] });
      assert.equal(answer.choices[0].message.content, "Hello from the mock: What is this? (with 1 image)");
    });

    test("an answer follows a schema", async () => {
      const response_format = { type: "json_schema", json_schema: { name: "place", strict: true, schema: SCHEMA } };
      const answer = await client.chat.completions.parse({ model, messages: MESSAGES, response_format });
      assert.deepEqual(JSON.parse(answer.choices[0].message.content), { city: "Paris", days: 1 });
    });

    test("a client that leaves a stream ends it at the provider", async () => {
      await upstream.failNext("drip=20");
      const messages = [{ role: "user", content: "word ".repeat(400) }];
      const stream = await client.chat.completions.create({ model, messages, stream: true });
      for await (const chunk of stream) {
        if (chunk.choices[0].delta.content) break;
      }
      const left = Date.now();
      stream.controller.abort();
      const request = await upstream.ended();
      assert.equal(request.ending, "client_left");
      const after = request.at_unix_ms + request.ended_after_ms - left;
      assert.ok(after <= 100, `${after} ms`);
    });
  });
}
