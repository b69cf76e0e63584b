import assert from "node:assert/strict";
import { describe, test } from "node:test";

import OpenAI from "openai";

import { host, isolated, targets } from "./targets.mjs";

const MESSAGES = [{ role: "user", content: "One two three four five six seven eight" }];

async function rejected(promise, kind) {
  let error;
  await assert.rejects(promise, (thrown) => {
    error = thrown;
    return true;
  });
  assert.ok(error instanceof kind, `${error?.constructor.name}: ${error?.message}`);
  return error;
}

for (const target of targets) {
  describe(`failures of the ${target.name}`, () => {
    isolated();
    const client = target.openai();
    const model = target.model("mock-chat");
    const ask = (wish) => client.chat.completions.create({ model, messages: MESSAGES, ...wish });

    test("a bad request, a wrong key and an unknown model are told apart", async () => {
      const bad = await rejected(ask({ messages: [] }), OpenAI.BadRequestError);
      assert.equal(bad.param, "messages");
      const stranger = target.openai("sk-bad").chat.completions.create({ model, messages: MESSAGES });
      assert.equal((await rejected(stranger, OpenAI.AuthenticationError)).code, "invalid_api_key");
      const unknown = await rejected(ask({ model: target.model("missing-model") }), OpenAI.NotFoundError);
      assert.equal(unknown.code, "model_not_found");
      assert.ok(unknown.requestID);
    });

    test("the provider's rate limit has a code of its own and says when to come back", async () => {
      const error = await rejected(ask({ model: await target.spoil("429=7") }), OpenAI.RateLimitError);
      assert.equal(error.code, target.isHost ? "provider_rate_limited" : "rate_limit_exceeded");
      assert.equal(error.headers.get("retry-after"), "7");
    });

    for (const status of ["500", "503"]) {
      test(`the provider's ${status} is a server error`, async () => {
        await rejected(ask({ model: await target.spoil(status) }), OpenAI.InternalServerError);
      });
    }

    for (const fault of ["cut", "stream-error"]) {
      test(`a stream that breaks off (${fault}) is an error and never finishes`, async () => {
        const broken = await target.spoil(fault);
        const reasons = [];
        await assert.rejects(async () => {
          for await (const chunk of await ask({ model: broken, stream: true })) {
            reasons.push(...chunk.choices.map((choice) => choice.finish_reason).filter(Boolean));
          }
        });
        assert.deepEqual(reasons, []);
      });
    }
  });
}

test("a body above the route's limit is too large", async () => {
  const wish = { model: "mock/text-embedding-3-small", input: "word ".repeat(400_000) };
  const error = await rejected(host.openai().embeddings.create(wish), OpenAI.APIError);
  assert.equal(error.status, 413);
  assert.equal(error.code, "request_too_large");
});
