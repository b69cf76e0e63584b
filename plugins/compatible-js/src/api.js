// Requests to the server, and what comes back.

import { send as sendRequest } from "atelier:provider/http@0.1.0";

import { fromHttpError, fromResponse } from "./failure.js";
import { parseJson } from "./json_text.js";
import { EventDecoder } from "./sse.js";

const READ_BYTES_MAX = 64 * 1024;
const ERROR_BYTES_MAX = 64 * 1024;
const EVENT_BYTES_MAX = 4 * 1024 * 1024;
const JSON_BYTES_MAX = 8 * 1024 * 1024;

/** Where a resource's handle is given back. Handles are not left to the garbage collector, which may never come by. */
const DISPOSE = Symbol.dispose ?? Symbol.for("dispose");

/** Call the host; its `http-error` becomes a failure. */
function hosted(call) {
  try {
    return call();
  } catch (error) {
    throw error.payload === undefined ? error : fromHttpError(error.payload);
  }
}

/** Send a request, and give `use` the response if it is a success. The response is given back afterwards. */
export function exchange(context, request, use) {
  const headers = request.body === undefined || request.body.tag === "multipart" ? []
    : [{ name: "content-type", value: "application/json" }];
  const response = hosted(() => sendRequest({
    method: request.method,
    url: context.baseUrl + request.path,
    headers,
    body: request.body ?? { tag: "none" },
    effect: request.effect ?? "safe",
    idempotencyHeader: undefined,
  }));
  const { status, headers: received, body } = response;
  try {
    if (status < 200 || status > 299) throw fromResponse(status, received, errorText(body));
    return use(body);
  } finally {
    body[DISPOSE]();
  }
}

/** An error document; one that is too large or breaks off is left out, as the status has said that the call failed. */
function errorText(body) {
  try {
    return new TextDecoder().decode(body.readAll(ERROR_BYTES_MAX));
  } catch {
    return "";
  }
}

/** The whole body as JSON. */
export function readJson(body) {
  const text = new TextDecoder().decode(hosted(() => body.readAll(JSON_BYTES_MAX)));
  return parseJson(text);
}

/** The whole body into a new blob. */
export function save(body, contentType) {
  return hosted(() => body.save(contentType));
}

/** The data of a body's server-sent events, in groups as they arrive. */
export function* eventGroups(body) {
  const decoder = new EventDecoder(EVENT_BYTES_MAX);
  for (;;) {
    const bytes = hosted(() => body.read(READ_BYTES_MAX));
    if (bytes === undefined) return;
    const events = decoder.feed(bytes);
    if (events.length > 0) yield events;
  }
}
