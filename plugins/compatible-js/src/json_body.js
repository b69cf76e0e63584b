// JSON bodies whose blobs stay with the host: it puts their base64 in while sending.

import { invalid } from "./failure.js";

/** A string made of a prefix and a blob in base64. */
export class BlobText {
  constructor(prefix, blob) {
    Object.assign(this, { prefix, blob });
  }
}

/** A JSON text that goes in as it is. */
export class RawJson {
  constructor(text) {
    this.text = text;
  }
}

/** The body of a request (`http.body`) for a value that may hold `BlobText`, `RawJson` and big integers. */
export function jsonBody(value) {
  const segments = [];
  let text = "";
  const encoder = new TextEncoder();
  const flush = () => {
    segments.push({ tag: "bytes", val: encoder.encode(text) });
    text = "";
  };
  const write = (value) => {
    if (value instanceof BlobText) {
      text += JSON.stringify(value.prefix).slice(0, -1);
      flush();
      segments.push({ tag: "base64", val: { blob: value.blob, offset: 0n, length: undefined } });
      text += '"';
    } else if (value instanceof RawJson) {
      text += value.text;
    } else if (typeof value === "bigint") {
      text += value.toString();
    } else if (Array.isArray(value)) {
      list("[", value, write, "]");
    } else if (value !== null && typeof value === "object") {
      const members = Object.entries(value).filter(([, member]) => member !== undefined);
      list("{", members, ([name, member]) => {
        text += `${JSON.stringify(name)}:`;
        write(member);
      }, "}");
    } else {
      text += JSON.stringify(value);
    }
  };
  const list = (open, items, each, close) => {
    text += open;
    items.forEach((item, place) => {
      if (place > 0) text += ",";
      each(item);
    });
    text += close;
  };
  write(value);
  flush();
  return segments.length === 1 ? segments[0] : { tag: "segments", val: segments };
}

/** The request's own options, an object, without those that the request itself decides. */
export function openOptions(json, reserved) {
  const options = JSON.parse(json === "" ? "{}" : json, (name, value) => {
    if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw invalid(`options.${name}`, "this plugin takes whole numbers up to 2^53 only: write it as a string");
    }
    return value;
  });
  const taken = reserved.find((name) => Object.hasOwn(options, name));
  if (taken !== undefined) throw invalid(`options.${taken}`, "the request has a field of its own for this");
  return options;
}
