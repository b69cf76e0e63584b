import assert from "node:assert/strict";
import test from "node:test";

import { EventDecoder } from "../src/sse.js";

const STREAM = "\ufeff: hello\r\ndata: {\"a\":\"ä\"}\r\n\r\nevent: x\rdata: one\rdata:two\r\rid: 7\n\ndata\n\ndata: left";

function decoded(bytes, size) {
  const decoder = new EventDecoder(64);
  const events = [];
  for (let at = 0; at < bytes.length; at += size) events.push(...decoder.feed(bytes.slice(at, at + size)));
  return events;
}

test("events are the same however the bytes are cut, with every line end the standard allows", () => {
  const bytes = new TextEncoder().encode(STREAM);
  for (let size = 1; size <= bytes.length; size += 1) {
    assert.deepEqual(decoded(bytes, size), ['{"a":"ä"}', "one\ntwo", ""], `in pieces of ${size}`);
  }
});

test("an event larger than allowed is a bad response, complete or not", () => {
  for (const text of [`data: ${"x".repeat(64)}`, `data: ${"x".repeat(40)}\ndata: ${"x".repeat(40)}\n`]) {
    const decoder = new EventDecoder(64);
    assert.throws(() => decoder.feed(new TextEncoder().encode(text)), { code: "bad-response" });
  }
});
