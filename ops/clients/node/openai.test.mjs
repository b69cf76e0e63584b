import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { toFile } from "openai";

import { PNG, collected, host, isolated, targets, wav } from "./targets.mjs";

const HEARD = /^Hello from the mock: 1644 bytes of speech.wav$/;
const isPng = (bytes) => assert.equal(Buffer.from(bytes).subarray(1, 4).toString(), "PNG");
const sound = () => toFile(wav(), "speech.wav", { type: "audio/wav" });
const picture = () => toFile(PNG, "picture.png", { type: "image/png" });

for (const target of targets) {
  describe(`the ${target.name} beside its chat`, () => {
    isolated();
    const client = target.openai();

    test("a listed model can be retrieved", async () => {
      const wanted = target.model("mock-chat");
      const listed = await collected(client.models.list());
      assert.ok(listed.some((model) => model.id === wanted));
      assert.equal((await client.models.retrieve(wanted)).id, wanted);
    });

    test("vectors come as numbers or as their bytes and are the same", async () => {
      const input = ["A sandbox holds.", "A door."];
      const wish = { model: target.model("text-embedding-3-small"), input, dimensions: 64 };
      const numbers = await client.embeddings.create({ ...wish, encoding_format: "float" });
      // Without a format the client asks for bytes and unpacks them by itself.
      const usual = await client.embeddings.create(wish);
      assert.equal(numbers.data.length, 2);
      numbers.data.forEach(({ embedding }, at) => {
        assert.equal(embedding.length, 64);
        embedding.forEach((value, i) => assert.ok(Math.abs(value - usual.data[at].embedding[i]) < 1e-6));
      });
    });

    test("images are made inside the answer and by address", async () => {
      const wish = { model: target.model("gpt-image-1"), prompt: "A grey square", size: "1024x1024" };
      const inside = await client.images.generate(wish);
      isPng(Buffer.from(inside.data[0].b64_json, "base64"));
      const { data } = await client.images.generate({ ...wish, response_format: "url" });
      const answer = await fetch(data[0].url, { headers: { authorization: `Bearer ${target.key}` } });
      assert.equal(answer.status, 200);
      isPng(await answer.arrayBuffer());
    });

    test("an image is shown unfinished while it is made", async () => {
      const wish = { model: target.model("gpt-image-1"), prompt: "A grey square", stream: true, partial_images: 1 };
      const events = await collected(await client.images.generate(wish));
      assert.deepEqual(events.map(({ type }) => type), ["image_generation.partial_image", "image_generation.completed"]);
      for (const event of events) isPng(Buffer.from(event.b64_json, "base64"));
    });

    test("an image is edited", async () => {
      const [image, mask] = [await picture(), await picture()];
      const wish = { model: target.model("gpt-image-1"), prompt: "Greyer", image, mask };
      isPng(Buffer.from((await client.images.edit(wish)).data[0].b64_json, "base64"));
    });

    test("speech is streamed", async () => {
      const wish = { model: target.model("tts-1"), voice: "alloy", input: "One two three", response_format: "mp3" };
      const answer = await client.audio.speech.create(wish);
      assert.equal(answer.headers.get("content-type"), "audio/mpeg");
      assert.equal((await answer.arrayBuffer()).byteLength, 3 * 19 * 417);
    });

    test("speech is written down, in pieces too, and translated", async () => {
      const model = target.model("whisper-1");
      const { transcriptions, translations } = client.audio;
      assert.match((await transcriptions.create({ model, file: await sound() })).text, HEARD);
      const verbose = { response_format: "verbose_json", timestamp_granularities: ["word"] };
      const timed = await transcriptions.create({ model, file: await sound(), ...verbose });
      assert.deepEqual([timed.words[1].word, timed.words[1].start], ["from", 0.5]);
      const events = await collected(await transcriptions.create({ model, file: await sound(), stream: true }));
      const deltas = events.filter((event) => event.type === "transcript.text.delta");
      assert.equal(deltas.map((event) => event.delta).join(""), events.at(-1).text);
      assert.match((await translations.create({ model, file: await sound() })).text, HEARD);
    });

    test("a transcript tells how likely each token was", async () => {
      const wish = { model: target.model("gpt-4o-mini-transcribe"), include: ["logprobs"], chunking_strategy: "auto" };
      const { logprobs, text } = await client.audio.transcriptions.create({ ...wish, file: await sound() });
      assert.equal(logprobs.map(({ token }) => token).join(""), text);
    });

    test("a text is moderated", async () => {
      const wish = { model: target.model("omni-moderation-latest"), input: ["Good morning.", "Murder!"] };
      const { results } = await client.moderations.create(wish);
      assert.deepEqual(results.map((verdict) => verdict.categories.violence), [false, true]);
    });
  });
}

describe("responses of the host", () => {
  isolated();
  const client = host.openai();
  const wish = { model: "mock/mock-chat", input: "Hello" };

  test("a plain response has output text and usage", async () => {
    const response = await client.responses.create(wish);
    assert.equal(response.status, "completed");
    assert.equal(response.output_text, "Hello from the mock: Hello");
    assert.ok(response.usage.output_tokens > 0);
  });

  test("a streamed response is put together by the client", async () => {
    const response = await client.responses.stream(wish).finalResponse();
    assert.equal(response.output_text, "Hello from the mock: Hello");
  });
});
