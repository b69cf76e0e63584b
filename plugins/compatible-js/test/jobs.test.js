import assert from "node:assert/strict";
import test from "node:test";

import { callable, fromResponse, Failure } from "../src/failure.js";
import { listedModels, modelPath } from "../src/models.js";
import { decodedState, finished, isFinal, pending, videoForm } from "../src/video_job.js";

const REQUEST = { model: "sora-2", task: "video-generation", prompt: "a cat", inputs: [], count: 1, options: "{}" };

test("a video's request is a form whose image stays with the host", () => {
  const blob = { contentType: () => "image/png" };
  const inputs = [{ role: "first-frame", media: { source: { tag: "blob", val: blob } } }];
  const form = videoForm({ ...REQUEST, inputs, durationMs: 8000n, size: "1280x720" });
  const fields = form.val.map(({ name, content }) => {
    return `${name}=${content.tag === "bytes" ? new TextDecoder().decode(content.val) : content.tag}`;
  });
  assert.deepEqual(fields, ["model=sora-2", "prompt=a cat", "seconds=8", "size=1280x720", "input_reference=blob"]);
  assert.equal(form.val[4].filename, "input.png");
});

test("what a video cannot have is refused and named", () => {
  for (const [change, param] of [
    [{ seed: 1n }, "seed"], [{ negativePrompt: "dogs" }, "negative_prompt"], [{ count: 2 }, "count"],
    [{ durationMs: 1500n }, "duration_ms"], [{ prompt: undefined }, "prompt"], [{ task: "music" }, "task"],
  ]) {
    assert.throws(() => videoForm({ ...REQUEST, ...change }), { param }, param);
  }
});

test("a video in the making is a ticket that finds it again", () => {
  const video = { id: "video_1", status: "in_progress", progress: 33 };
  assert.equal(isFinal(video), false);
  const ticket = pending(video);
  assert.deepEqual([ticket.progress, ticket.providerId, decodedState(ticket.state)], [0.33, "video_1", "video_1"]);
  assert.throws(() => decodedState(new TextEncoder().encode("{}")), { code: "internal" });
});

test("a refused video is told from a failed one", () => {
  const failed = (error) => () => isFinal({ id: "v", status: "failed", error });
  assert.throws(failed({ code: "moderation_blocked", message: "blocked" }), { code: "content-refused", message: "blocked" });
  assert.throws(failed(null), { code: "internal" });
  assert.throws(failed({ code: "server_error", message: "broken" }), { code: "internal", message: "broken" });
  assert.throws(() => isFinal({ id: "v", status: "paused" }), { code: "bad-response" });
});

test("a finished video is its content and what it used", () => {
  const outcome = finished({ id: "v", seconds: "8", size: "1280x720" }, { contentType: () => "video/mp4" });
  assert.deepEqual(outcome.usage, [
    { meter: "video-ms", quantity: 8000n, attributes: [{ name: "resolution", value: "720p" }] },
  ]);
  assert.equal(outcome.outputs[0].val.contentType, "video/mp4");
});

test("statuses and error documents have failure words, and a refused key is never quoted", () => {
  const body = (error) => JSON.stringify({ error });
  const refused = fromResponse(401, [], body({ message: "Incorrect key sk-ab**cd", code: "invalid_api_key" }));
  assert.equal(refused.code, "unauthenticated");
  assert.ok(!refused.message.includes("sk-"));
  const empty = fromResponse(429, [{ name: "retry-after", value: "2" }], body({ message: "m", type: "insufficient_quota" }));
  assert.deepEqual([empty.code, empty.retryAfterMs], ["quota-exhausted", 2000n]);
  const page = fromResponse(502, [], "<html>");
  assert.deepEqual([page.code, page.providerDetail], ["unavailable", undefined]);
  assert.equal(fromResponse(307, [], "").code, "bad-response");
  assert.equal(fromResponse(400, [], body("no such model")).message, "no such model");
});

test("a mistake in the plugin is a failure, not a trap", () => {
  const { broken, refusing } = callable({
    broken: () => undefined.x,
    refusing: () => { throw new Failure("unsupported", "no"); },
  });
  assert.throws(broken, { code: "internal" });
  assert.throws(refusing, { code: "unsupported" });
});

test("models are listed by their ids, and an id cannot lead to another address", () => {
  const models = listedModels({ data: ["mock-chat", "tts-1", "gpt-image-1", "sora-2"].map((id) => ({ id, created: 7 })) });
  assert.deepEqual(models.map(({ id, tasks }) => [id, tasks[0]]), [["mock-chat", "chat"], ["sora-2", "video-generation"]]);
  assert.throws(() => listedModels({ data: [{}] }), { code: "bad-response" });
  assert.equal(modelPath("org/a model"), "/models/org/a%20model");
  assert.throws(() => modelPath("../files"), { code: "invalid-request" });
});
