// Who is asked: the host, or the mock upstream itself, whose dialects the suite checks as well.

import assert from "node:assert/strict";
import { afterEach, beforeEach } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const TIMEOUT_MS = 30_000;
const WAIT_MS = 5_000;
// Two good answers for each bad one keep the host's circuit breaker closed.
const GOOD_ANSWERS = 2;

function setting(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: run the suite through \`cargo xtask test\``);
  return value;
}

const MOCK = setting("MOCK_BASE_URL");

class Target {
  constructor(name, root, key) {
    Object.assign(this, { name, root, key, isHost: name === "host" });
  }

  // The name under which this server has the mock's model.
  model(ownId, instance = "mock") {
    return this.isHost ? `${instance}/${ownId}` : ownId;
  }

  openai(apiKey = this.key) {
    return new OpenAI({ baseURL: `${this.root}/v1`, apiKey, maxRetries: 0, timeout: TIMEOUT_MS });
  }

  anthropic(apiKey = this.key) {
    // The mock has several providers under one roof; this one's model list lies below a prefix.
    const baseURL = this.isHost ? this.root : `${this.root}/anthropic`;
    return new Anthropic({ baseURL, apiKey, maxRetries: 0, timeout: TIMEOUT_MS });
  }

  // Make the provider fail the next request for the model that this resolves to.
  async spoil(fault, instance = "faulty") {
    const model = this.model("mock-chat", instance);
    const messages = [{ role: "user", content: "Hello" }];
    for (let good = 0; this.isHost && good < GOOD_ANSWERS; good++) {
      await this.openai().chat.completions.create({ model, messages });
    }
    await upstream.failNext(fault);
    return model;
  }
}

export const host = new Target("host", setting("ATELIER_BASE_URL"), setting("ATELIER_API_KEY"));
export const targets = [host, new Target("mock", MOCK, "sk-any")];

async function control(method, path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${MOCK}/_mock/${path}`, { method, headers, body: body && JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

// The provider behind the host: what it saw, and what it does wrong next.
export const upstream = {
  reset: () => control("POST", "reset"),
  failNext: (fault, times = 1) => control("POST", "fault", { fault, times }),
  requests: async () => (await control("GET", "requests")).requests,
  async lastRequest() {
    return (await this.requests()).at(-1);
  },
  // The newest request once its answer has ended. The control plane has no events, so it is asked again and again.
  async ended() {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      const request = await this.lastRequest();
      if (request.ending !== "open") return request;
      assert.ok(performance.now() < deadline, `still open after ${WAIT_MS} ms`);
    }
  },
};

// Each test begins with an empty record, and leaves no armed fault to the next.
export function isolated() {
  beforeEach(async () => {
    // The host's catalogues are loaded before a test counts or spoils requests.
    await host.openai().models.list();
    await upstream.reset();
  });
  afterEach(() => upstream.reset());
}

export async function collected(stream) {
  const all = [];
  for await (const item of stream) all.push(item);
  return all;
}

// The least picture that is one: a grey pixel.
export const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==",
  "base64",
);

// A tenth of a second of silence: 8 kHz, 16 bits, one channel.
export function wav(bytes = 1600) {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + bytes, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(16000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(bytes, 40);
  return Buffer.concat([head, Buffer.alloc(bytes)]);
}
