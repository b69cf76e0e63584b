"""Why a call gave no result: the contract's words, and how Google's error documents become one.

https://cloud.google.com/apis/design/errors, https://ai.google.dev/gemini-api/docs/troubleshooting
"""

import json
import math
import re

MESSAGES = {
    "unauthenticated": "the provider did not accept the key: ask the operator to check it",
    "quota-exhausted": "the provider account has no quota left",
    "forbidden": "the provider does not allow this with the configured key",
    "not-found": "the provider does not know this model or address",
    "timeout": "the provider took too long: try again",
    "too-large": "the request is larger than the provider takes",
    "rate-limited": "the provider's rate limit is reached: try again later",
    "unsupported": "the provider does not offer this",
    "overloaded": "the provider is overloaded: try again later",
    "unavailable": "the provider failed: try again later",
    "invalid-request": "the provider refused the request",
    "canceled": "the provider canceled this",
    "bad-response": "the provider's answer has an unexpected status: ask the operator to check the base URL",
}

BY_STATUS = {
    401: "unauthenticated",
    402: "quota-exhausted",
    403: "forbidden",
    404: "not-found",
    408: "timeout",
    413: "too-large",
    429: "rate-limited",
    501: "unsupported",
    503: "overloaded",
    504: "timeout",
}

# google.rpc.Code: the number that operations give, the word that answers give.
RPC_CODES = {
    1: ("CANCELLED", "canceled"),
    3: ("INVALID_ARGUMENT", "invalid-request"),
    4: ("DEADLINE_EXCEEDED", "timeout"),
    5: ("NOT_FOUND", "not-found"),
    7: ("PERMISSION_DENIED", "forbidden"),
    8: ("RESOURCE_EXHAUSTED", "rate-limited"),
    # A region or an account in which the API is not offered.
    9: ("FAILED_PRECONDITION", "forbidden"),
    12: ("UNIMPLEMENTED", "unsupported"),
    13: ("INTERNAL", "unavailable"),
    14: ("UNAVAILABLE", "overloaded"),
    16: ("UNAUTHENTICATED", "unauthenticated"),
}
BY_RPC_NUMBER = {number: word for number, (_, word) in RPC_CODES.items()}
BY_RPC_NAME = dict(RPC_CODES.values())

BY_HTTP_ERROR = {
    "denied": "forbidden",
    "secret-missing": "unauthenticated",
    "secret-refused": "unauthenticated",
    "token-unavailable": "unavailable",
    "dns": "unavailable",
    "connect": "unavailable",
    "tls": "unavailable",
    "reset": "unavailable",
    "timeout": "timeout",
    "too-large": "bad-response",
    "limit-reached": "too-large",
    "canceled": "canceled",
}


class Failure(Exception):
    """A `failure` of the contract."""

    def __init__(self, code, message, *, param=None, http_status=None, retry_after_ms=None, provider_detail=None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.http_status = http_status
        self.retry_after_ms = retry_after_ms
        self.provider_detail = provider_detail


def invalid(param, message):
    """The caller has to change the field `param`."""
    return Failure("invalid-request", message, param=param)


def unsupported(message, param=None):
    return Failure("unsupported", message, param=param)


def bad_response(message):
    """The provider's answer is not what its documentation promises."""
    return Failure("bad-response", message)


def from_http_error(code, message):
    """What an error of the host's `http` means."""
    return Failure(BY_HTTP_ERROR.get(code, "internal"), message)


def from_response(status, headers, body):
    """What a response that is no success means: its status and headers (pairs), and the error document in `body`."""
    code = BY_STATUS.get(status)
    if code is None:
        code = "unavailable" if status >= 500 else "invalid-request" if status >= 400 else "bad-response"
    failure = Failure(code, MESSAGES[code], http_status=status)
    seconds = dict(headers).get("retry-after", "")
    if re.fullmatch(r"\d{1,9}", seconds):
        failure.retry_after_ms = int(seconds) * 1000
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return failure  # a proxy's page, say: the status has said what there is to say
    if isinstance(document, list) and document:
        document = document[0]  # how streams without `alt=sse` begin
    if isinstance(document, dict):
        _explain(failure, document.get("error"))
    return failure


def reported(error):
    """A failure told inside a stream or by an operation: `error` is the error object alone."""
    failure = Failure("unavailable", "the provider broke off with an error")
    _explain(failure, error)
    return failure


# What passes by itself: the host asks again.
PASSING = ("rate-limited", "overloaded", "unavailable", "timeout")


def ends_job(failure):
    """A failure as the end of a job: where a provider was asked how a job stands, those words say that it could not be asked."""
    if failure.code in PASSING:
        failure.code, failure.retry_after_ms = "internal", None
    return failure


def _explain(failure, error):
    if not isinstance(error, dict):
        return
    failure.provider_detail = json.dumps(error)
    details = [detail for detail in _list(error.get("details")) if isinstance(detail, dict)]
    failure.code = _meaning(error, details) or failure.code
    message = error.get("message")
    # What the provider says about keys may quote parts of them, and is the operator's business.
    if failure.code in ("unauthenticated", "forbidden"):
        failure.message = MESSAGES[failure.code]
    elif isinstance(message, str) and message:
        failure.message = message
    for detail in details:
        kind = str(detail.get("@type", "")).rpartition(".")[2]
        if kind == "RetryInfo":
            failure.retry_after_ms = duration_ms(detail.get("retryDelay")) or failure.retry_after_ms
        elif kind == "BadRequest":
            violations = [item for item in _list(detail.get("fieldViolations")) if isinstance(item, dict)]
            fields = [item["field"] for item in violations if isinstance(item.get("field"), str)]
            failure.param = fields[0] if fields else None


def _meaning(error, details):
    reasons = [detail.get("reason") for detail in details]
    if "API_KEY_INVALID" in reasons or "API_KEY_EXPIRED" in reasons:
        return "unauthenticated"  # told with the status 400
    quotas = [item for detail in details for item in _list(detail.get("violations")) if isinstance(item, dict)]
    if any("PerDay" in str(quota.get("quotaId")) for quota in quotas):
        return "quota-exhausted"  # nothing to retry for today
    message = str(error.get("message"))
    if error.get("status") == "INVALID_ARGUMENT" and "exceeds the maximum number of tokens" in message:
        return "too-large"
    return BY_RPC_NAME.get(error.get("status")) or BY_RPC_NUMBER.get(error.get("code"))


def duration_ms(text):
    """A google.protobuf.Duration in JSON (`"34.07s"`) in milliseconds, rounded up."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", text) if isinstance(text, str) else None
    return math.ceil(float(match[1]) * 1000) if match else None


def _list(value):
    return value if isinstance(value, list) else []
