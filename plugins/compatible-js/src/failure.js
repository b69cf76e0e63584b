// Failures of the contract, thrown as they are: what an export throws becomes its `err`.

const MESSAGES = {
  "unauthenticated": "the provider did not accept the key: ask the operator to check it",
  "quota-exhausted": "the provider account has no credit left",
  "forbidden": "the provider does not allow this with the configured key",
  "not-found": "the provider does not know this model or address",
  "timeout": "the provider took too long: try again",
  "too-large": "the request is larger than the provider takes",
  "rate-limited": "the provider's rate limit is reached: try again later",
  "unsupported": "the provider does not offer this",
  "overloaded": "the provider is overloaded: try again later",
  "unavailable": "the provider failed: try again later",
  "invalid-request": "the provider refused the request",
  "bad-response": "the provider's answer has an unexpected status: ask the operator to check the base URL",
};

const BY_STATUS = {
  401: "unauthenticated", 402: "quota-exhausted", 403: "forbidden", 451: "forbidden", 404: "not-found",
  410: "not-found", 408: "timeout", 504: "timeout", 413: "too-large", 414: "too-large", 431: "too-large",
  429: "rate-limited", 405: "unsupported", 501: "unsupported", 503: "overloaded", 529: "overloaded",
};

/** The failure word for one of OpenAI's error codes or types. */
const BY_WORD = {
  insufficient_quota: "quota-exhausted",
  billing_hard_limit_reached: "quota-exhausted",
  rate_limit_exceeded: "rate-limited",
  content_policy_violation: "content-refused",
  content_filter: "content-refused",
  moderation_blocked: "content-refused",
  context_length_exceeded: "too-large",
  model_not_found: "not-found",
  invalid_api_key: "unauthenticated",
  engine_overloaded: "overloaded",
  overloaded_error: "overloaded",
  server_error: "unavailable",
};

const BY_HTTP_ERROR = {
  "denied": "forbidden", "secret-missing": "unauthenticated", "secret-refused": "unauthenticated",
  "token-unavailable": "unavailable", "dns": "unavailable", "connect": "unavailable",
  "tls": "unavailable", "reset": "unavailable", "timeout": "timeout", "too-large": "bad-response",
  "limit-reached": "too-large", "canceled": "canceled",
};

/** Why a call gave no result: a `failure` of the contract. */
/** What passes by itself: the host asks again. */
const PASSING = ["rate-limited", "overloaded", "unavailable", "timeout"];

export class Failure {
  constructor(code, message, details = {}) {
    Object.assign(this, {
      code,
      message,
      param: undefined,
      httpStatus: undefined,
      retryAfterMs: undefined,
      providerDetail: undefined,
      ...details,
    });
  }
}

export function invalid(param, message) {
  return new Failure("invalid-request", message, { param });
}

export function unsupported(message, param) {
  return new Failure("unsupported", message, { param });
}

/** What an error of `http` means. */
export function fromHttpError({ code, message }) {
  return new Failure(BY_HTTP_ERROR[code] ?? "internal", message);
}

/** What a response that is no success means: its status and headers, and the error document in `body` if it is one. */
export function fromResponse(status, headers, body) {
  const code = BY_STATUS[status]
    ?? (status >= 500 ? "unavailable" : status >= 400 ? "invalid-request" : "bad-response");
  const failure = new Failure(code, MESSAGES[code], { httpStatus: status, retryAfterMs: retryAfterMs(headers) });
  return explained(failure, body);
}

/** A failure told inside a stream or a job: `error` is the error object alone. */
export function reported(error) {
  const failure = new Failure("unavailable", "the provider broke off with an error");
  return explained(failure, JSON.stringify({ error }));
}

/** A failure as the end of a job: where a provider was asked how a job stands, these words say that it could not be asked. */
export function endsJob(failure) {
  if (!PASSING.includes(failure.code)) return failure;
  return new Failure("internal", failure.message, { param: failure.param, providerDetail: failure.providerDetail });
}

function explained(failure, body) {
  let document;
  try {
    document = JSON.parse(body);
  } catch {
    return failure; // a proxy's page, say: the status has said what there is to say
  }
  failure.providerDetail = body;
  const error = document?.error ?? document;
  const detail = typeof error === "string" ? { message: error } : error;
  const word = [detail?.code, detail?.type].find((word) => Object.hasOwn(BY_WORD, word));
  failure.code = word === undefined ? failure.code : BY_WORD[word];
  // What the provider says about keys quotes parts of them, and is the operator's business.
  const aboutKeys = failure.code === "unauthenticated" || failure.code === "forbidden";
  if (aboutKeys) {
    failure.message = MESSAGES[failure.code];
  } else if (typeof detail?.message === "string" && detail.message !== "") {
    failure.message = detail.message;
  }
  failure.param = typeof detail?.param === "string" && detail.param !== "" ? detail.param : undefined;
  return failure;
}

/** `retry-after-ms`, or `retry-after` in seconds; the host reads dates better than a plugin without a clock. */
function retryAfterMs(headers) {
  const find = (name) => headers.find((header) => header.name === name)?.value.trim();
  const [ms, seconds] = [find("retry-after-ms"), find("retry-after")];
  const wait = /^\d{1,12}(\.\d+)?$/.test(ms ?? "") ? Number(ms)
    : /^\d{1,9}(\.\d+)?$/.test(seconds ?? "") ? Number(seconds) * 1000 : undefined;
  return wait === undefined ? undefined : BigInt(Math.ceil(wait));
}

/** The functions of an interface so that what they throw is always a failure: an uncaught `Error` would be a trap. */
export function callable(functions) {
  return Object.fromEntries(Object.entries(functions).map(([name, call]) => [name, (...values) => {
    try {
      return call(...values);
    } catch (error) {
      throw error instanceof Failure ? error : new Failure("internal", `a mistake in the plugin: ${error}`);
    }
  }]));
}
