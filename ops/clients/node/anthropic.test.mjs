import assert from "node:assert/strict";
import { describe, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";

import { PNG, collected, isolated, targets, upstream } from "./targets.mjs";

const QUESTION = "How does a sandbox keep what it holds?";
const ANSWER = `Hello from the mock: ${QUESTION}`;
const MESSAGES = [{ role: "user", content: QUESTION }];
const WEATHER = [{ role: "user", content: "What is the weather in Paris?" }];
const TOOLS = [
  {
    name: "get_weather",
    input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
];

// A model of Anthropic's own API and one of OpenAI's; at the mock there is only the former.
const subjects = targets.flatMap((target) =>
  (target.isHost ? ["claude", "mock"] : ["mock"]).map((instance) => [target, target.model("mock-chat", instance)]),
);

for (const [target, model] of subjects) {
  describe(`messages of ${model} at the ${target.name}`, () => {
    isolated();
    const client = target.anthropic();
    const wish = { model, max_tokens: 1000, messages: MESSAGES };

    test("a plain message has text, usage and a reason for its end", async () => {
      const message = await client.messages.create(wish);
      assert.equal(message.model, model);
      assert.deepEqual(message.content.map((block) => block.text), [ANSWER]);
      assert.equal(message.stop_reason, "end_turn");
      assert.equal(message.usage.output_tokens, ANSWER.split(" ").length);
      assert.ok(message._request_id, "the header `request-id` is missing");
    });

    test("a stream goes through its events in order", async () => {
      const events = await collected(await client.messages.create({ ...wish, stream: true }));
      assert.equal(events[0].type, "message_start");
      assert.equal(events.at(-1).type, "message_stop");
      const deltas = events.filter((event) => event.type === "content_block_delta");
      assert.ok(deltas.length > 1);
      assert.equal(deltas.map((event) => event.delta.text).join(""), ANSWER);
    });

    test("the client's stream helper puts the message together", async () => {
      const message = await client.messages.stream(wish).finalMessage();
      assert.equal(message.content[0].text, ANSWER);
    });

    test("a tool is used, its result goes back, and the model goes on", async () => {
      const stream = client.messages.stream({ ...wish, messages: WEATHER, tools: TOOLS });
      const asked = await stream.finalMessage();
      assert.equal(asked.stop_reason, "tool_use");
      const use = asked.content.find((block) => block.type === "tool_use");
      assert.deepEqual(use.input, { city: "Paris" });
      const result = { type: "tool_result", tool_use_id: use.id, content: "18 degrees" };
      const turns = [...WEATHER, { role: "assistant", content: asked.content }, { role: "user", content: [result] }];
      const answer = await client.messages.create({ ...wish, messages: turns, tools: TOOLS });
      assert.match(answer.content[0].text, /\(the tool said: 18 degrees\)/);
    });

    test("a picture reaches the model", async () => {
      const source = { type: "base64", media_type: "image/png", data: PNG.toString("base64") };
      const content = [{ type: "image", source }, { type: "text", text: "What is this?" }];
      const message = await client.messages.create({ ...wish, messages: [{ role: "user", content }] });
      assert.equal(message.content[0].text, "Hello from the mock: What is this? (with 1 image)");
    });

    test("tokens are counted before a message is sent", async () => {
      const { max_tokens: _, ...counted } = wish;
      const { input_tokens: tokens } = await client.messages.countTokens(counted);
      assert.ok(tokens > 0);
      const longer = { role: "user", content: "and one more question, which is longer than the first" };
      const both = await client.messages.countTokens({ ...counted, messages: [...counted.messages, longer] });
      assert.ok(both.input_tokens > tokens);
    });

    test("failures are the client's own errors", async () => {
      await assert.rejects(client.messages.create({ ...wish, messages: [] }), Anthropic.BadRequestError);
      await assert.rejects(target.anthropic("sk-bad").messages.create(wish), Anthropic.AuthenticationError);
      const missing = target.model("missing-model", "claude");
      await assert.rejects(client.messages.create({ ...wish, model: missing }), Anthropic.NotFoundError);
    });

    test("a stream that breaks off is an error and never a whole message", async () => {
      for (let good = 0; target.isHost && good < 2; good++) await client.messages.create(wish);
      await upstream.failNext("cut");
      const kinds = [];
      await assert.rejects(async () => {
        for await (const event of await client.messages.create({ ...wish, stream: true })) kinds.push(event.type);
      });
      assert.equal(kinds[0], "message_start");
      assert.ok(!kinds.includes("message_stop"));
    });
  });
}
