// Token counts as usage lines. The lines of one meter do not overlap: they add up to the total.

/** `quantity` units of `meter`, with attributes such as `{ cached: "true" }`. */
export function usageLine(meter, quantity, attributes = {}) {
  const pairs = Object.entries(attributes).map(([name, value]) => ({ name, value }));
  return { meter, quantity: BigInt(quantity), attributes: pairs };
}

/** The `usage` of a chat completion. */
export function chatUsage(usage) {
  const input = usage.prompt_tokens_details ?? {};
  const output = usage.completion_tokens_details ?? {};
  return [
    ...split("input-tokens", usage.prompt_tokens, input.cached_tokens, { cached: "true" }, input.audio_tokens),
    ...split("output-tokens", usage.completion_tokens, output.reasoning_tokens, { reasoning: "true" },
      output.audio_tokens),
  ];
}

/** `all` tokens, of which `some` have an attribute and `sound` stand for sound. */
function split(meter, all, some, attributes, sound) {
  const total = count(all);
  const special = Math.min(count(some), total);
  const audio = Math.min(count(sound), total - special);
  const plain = total - special - audio;
  const lines = [];
  if (plain > 0 || total === 0) lines.push(usageLine(meter, plain));
  if (special > 0) lines.push(usageLine(meter, special, attributes));
  if (audio > 0) lines.push(usageLine(meter, audio, { modality: "audio" }));
  return lines;
}

function count(value) {
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}
