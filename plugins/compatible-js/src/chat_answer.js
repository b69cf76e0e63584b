// Chat completions as events of the contract.

import { Failure, reported } from "./failure.js";
import { parseJson } from "./json_text.js";
import { chatUsage } from "./usage.js";

const FINISH_REASONS = {
  stop: { tag: "stop" },
  length: { tag: "length" },
  tool_calls: { tag: "tool-calls" },
  function_call: { tag: "tool-calls" },
  content_filter: { tag: "content-filter" },
};

function finishReason(reason) {
  return Object.hasOwn(FINISH_REASONS, reason) ? FINISH_REASONS[reason] : { tag: "other", val: String(reason) };
}

function brokenOff() {
  return new Failure("unavailable", "the provider broke off before its answer was complete: try again");
}

/** How far a streamed answer has come. */
export class AnswerStream {
  #started = false;
  /** The provider's numbers of the tool calls so far; a place in this list is a call's index. */
  #calls = [];
  /** Sent on only when the stream is whole. */
  #finished;
  #usage;
  #whole = false;

  /** What the data of one event says. */
  take(data) {
    if (this.#whole) return [];
    if (data === "[DONE]") return this.#close();
    const chunk = parseJson(data);
    if (chunk?.error) throw reported(chunk.error);
    const events = [];
    if (!this.#started) {
      this.#started = true;
      events.push({ tag: "started", val: { id: chunk.id ?? "", model: chunk.model ?? "" } });
    }
    // One answer was asked for.
    const choice = chunk.choices?.find((choice) => (choice.index ?? 0) === 0);
    if (choice !== undefined) this.#takeChoice(choice, events);
    if (chunk.usage) this.#usage = chunk.usage;
    return events;
  }

  /** The connection has ended: an error if the answer had not. */
  end() {
    if (!this.#whole) throw brokenOff();
  }

  #close() {
    if (this.#finished === undefined) throw brokenOff();
    this.#whole = true;
    const finished = { tag: "finished", val: finishReason(this.#finished) };
    return this.#usage ? [finished, { tag: "usage", val: chatUsage(this.#usage) }] : [finished];
  }

  #takeChoice({ delta, finish_reason: reason, logprobs }, events) {
    texts(delta ?? {}, events);
    for (const call of delta?.tool_calls ?? []) this.#takeCall(call, events);
    tokenLogprobs(logprobs, events);
    if (typeof reason === "string") this.#finished = reason;
  }

  #takeCall(call, events) {
    // Servers that do not count their calls send each with its id, and whole.
    const counted = Number.isInteger(call.index);
    let index = counted ? this.#calls.lastIndexOf(call.index) : call.id ? -1 : this.#calls.length - 1;
    if (index < 0) {
      index = this.#calls.push(counted ? call.index : this.#calls.length) - 1;
      events.push(toolCallStart(index, call));
    }
    const text = call.function?.arguments;
    if (text) events.push({ tag: "tool-call-delta", val: { index, arguments: text } });
  }
}

/** The events of an answer in one piece. */
export function wholeAnswer(completion) {
  const choice = completion?.choices?.[0];
  if (typeof choice?.finish_reason !== "string" || !choice.message) {
    throw new Failure("bad-response", "the provider's answer has no finished choice");
  }
  const events = [{ tag: "started", val: { id: completion.id ?? "", model: completion.model ?? "" } }];
  texts(choice.message, events);
  (choice.message.tool_calls ?? []).forEach((call, index) => {
    events.push(toolCallStart(index, call));
    const text = call.function?.arguments;
    if (text) events.push({ tag: "tool-call-delta", val: { index, arguments: text } });
  });
  tokenLogprobs(choice.logprobs, events);
  events.push({ tag: "finished", val: finishReason(choice.finish_reason) });
  if (completion.usage) events.push({ tag: "usage", val: chatUsage(completion.usage) });
  return events;
}

function texts(message, events) {
  const thought = message.reasoning_content ?? message.reasoning;
  if (thought) events.push({ tag: "thinking", val: { text: thought, signature: undefined } });
  if (message.content) events.push({ tag: "text", val: message.content });
  if (message.refusal) events.push({ tag: "refusal", val: message.refusal });
}

function toolCallStart(index, call) {
  // Results have to name their call: one without an id gets one.
  const [id, name] = [call.id || `call_${index}`, call.function?.name ?? ""];
  return { tag: "tool-call-start", val: { index, id, name, signature: call.extra_content?.google?.thought_signature } };
}

function tokenLogprobs(logprobs, events) {
  const tokens = [...(logprobs?.content ?? []), ...(logprobs?.refusal ?? [])];
  if (tokens.length === 0) return;
  const plain = ({ token, logprob }) => ({ token, logprob, bytes: undefined });
  events.push({
    tag: "logprobs",
    val: tokens.map((token) => ({ ...plain(token), top: (token.top_logprobs ?? []).map(plain) })),
  });
}
