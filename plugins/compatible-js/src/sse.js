// Server-sent events (WHATWG HTML §9.2.6), decoded as the bytes arrive.

import { Failure } from "./failure.js";

const [LF, CR] = [10, 13];
const BYTE_ORDER_MARK = "\ufeff";

/** Takes bytes as they come, gives the data of events. Memory is bounded by the largest event and the largest piece. */
export class EventDecoder {
  #eventBytesMax;
  #rest = new Uint8Array();
  /** Where the search for the end of the first line goes on. */
  #searched = 0;
  #afterCr = false;
  #begun = false;
  #lines = [];
  #bytes = 0;
  #text = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(eventBytesMax) {
    this.#eventBytesMax = eventBytesMax;
  }

  /** Add the next bytes; gives the data of each event that is now complete. */
  feed(bytes) {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const events = [];
    let start = 0;
    for (let at = this.#searched; at < all.length; at += 1) {
      const byte = all[at];
      if (byte === LF && this.#afterCr) {
        this.#afterCr = false; // the second half of a line's end
        start = at + 1;
        continue;
      }
      this.#afterCr = byte === CR;
      if (byte !== LF && byte !== CR) continue;
      this.#take(all.subarray(start, at), events);
      start = at + 1;
    }
    this.#rest = all.slice(start);
    this.#searched = this.#rest.length;
    this.#check(this.#rest.length);
    return events;
  }

  #take(line, events) {
    const decoded = this.#text.decode(line);
    const text = !this.#begun && decoded.startsWith(BYTE_ORDER_MARK) ? decoded.slice(1) : decoded;
    this.#begun = true;
    if (text === "") {
      if (this.#lines.length > 0) events.push(this.#lines.join("\n"));
      this.#lines = [];
      this.#bytes = 0;
      return;
    }
    const [field, value] = split(text);
    if (field !== "data") return;
    this.#check(line.length);
    this.#lines.push(value);
    this.#bytes += line.length;
  }

  #check(more) {
    if (this.#bytes + more > this.#eventBytesMax) {
      throw new Failure("bad-response", "the provider sent an event larger than this call may take");
    }
  }
}

function split(line) {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  const value = line.slice(colon + 1);
  return [line.slice(0, colon), value.startsWith(" ") ? value.slice(1) : value];
}
