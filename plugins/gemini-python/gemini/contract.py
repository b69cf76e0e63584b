"""Plain values as those of the contract, as componentize-py makes them from wit/0.1."""

import functools

from componentize_py_types import Err
from wit_world.exports.catalog import Limits, Model, Price, Status
from wit_world.imports import chat_types, job_types
from wit_world.imports.types import Failure as ContractFailure
from wit_world.imports.types import Other, Pair, UsageLine

from .failure import Failure


def exported(call):
    """An export whose failures are the contract's: anything else that is raised would be a trap."""

    @functools.wraps(call)
    def guarded(*arguments):
        try:
            return call(*arguments)
        except Failure as failure:
            raise Err(_failure(failure)) from None
        except Exception as error:
            mistake = Failure("internal", f"a mistake in the plugin: {type(error).__name__}: {error}")
            raise Err(_failure(mistake)) from None

    return guarded


def _failure(failure):
    return ContractFailure(
        failure.code,
        failure.message,
        failure.param,
        failure.http_status,
        failure.retry_after_ms,
        failure.provider_detail,
    )


def pairs(values):
    return [Pair(name, value) for name, value in values.items()]


def usage_lines(lines):
    return [UsageLine(meter, quantity, pairs(attributes)) for meter, quantity, attributes in lines]


FINISH_REASONS = {
    "stop": chat_types.FinishReason_Stop,
    "length": chat_types.FinishReason_Length,
    "tool-calls": chat_types.FinishReason_ToolCalls,
    "content-filter": chat_types.FinishReason_ContentFilter,
}


def _finished(reason):
    case = FINISH_REASONS.get(reason)
    return case() if case else chat_types.FinishReason_Other(reason)


def _logprobs(rows):
    return [
        chat_types.TokenLogprob(token, logprob, None, [chat_types.TopLogprob(*item, None) for item in top])
        for token, logprob, top in rows
    ]


EVENTS = {
    "started": lambda value: chat_types.ChatEvent_Started(chat_types.Started(*value)),
    "text": chat_types.ChatEvent_Text,
    "thinking": lambda value: chat_types.ChatEvent_Thinking(chat_types.Thinking(*value)),
    "tool-call-start": lambda value: chat_types.ChatEvent_ToolCallStart(chat_types.ToolCallStart(*value)),
    "tool-call-delta": lambda value: chat_types.ChatEvent_ToolCallDelta(chat_types.ToolCallDelta(*value)),
    "logprobs": lambda value: chat_types.ChatEvent_Logprobs(_logprobs(value)),
    "finished": lambda value: chat_types.ChatEvent_Finished(_finished(value)),
    "usage": lambda value: chat_types.ChatEvent_Usage(usage_lines(value)),
    "other": lambda value: chat_types.ChatEvent_Other(Other(*value)),
}


def chat_events(events):
    return [EVENTS[word](value) for word, value in events]


def model(entry):
    """A model's dictionary (see `models`)."""
    limits = Limits(entry.get("context_tokens"), entry.get("output_tokens"), None, None, None)
    prices = [Price(meter, pairs(attributes), micros) for meter, attributes, micros in entry["prices"]]
    return Model(
        id=entry["id"],
        name=entry["name"],
        description=entry.get("description"),
        status=Status[entry.get("status", "AVAILABLE")],
        tasks=entry["tasks"],
        input_modalities=entry["input_modalities"],
        features=entry["features"],
        limits=limits,
        options_schema=entry["options_schema"],
        prices=prices,
        owner=None,
        created=0,
    )


def pending(job, poll_ms, state_version):
    ticket = job_types.Ticket(job.encoded(), state_version, poll_ms, None, False, job.operation)
    return job_types.Step_Pending(ticket)


def video(source, content_type, attributes):
    return job_types.Output_Media(job_types.MediaOutput(source, content_type, None, None, pairs(attributes)))


def outcome(outputs, lines):
    return job_types.Outcome(outputs, usage_lines(lines))
