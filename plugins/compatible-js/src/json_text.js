// JSON that the provider sent.

import { Failure } from "./failure.js";

/** A text of the provider's as a value. */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure("bad-response", "the provider's answer is not JSON");
  }
}
