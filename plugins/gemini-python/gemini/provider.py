"""What the component exports: the contract's `catalog`, `chat` and `media`."""

from componentize_py_types import Err
from wit_world.exports.catalog import Description, ModelPage, VoicePage
from wit_world.imports.job_types import (
    Cancellation_Canceled,
    Cancellation_Finished,
    Cancellation_Unsupported,
    OutputSource_Guarded,
    OutputSource_Remote,
    Step_Done,
)

from . import api, contents, contract, models, veo
from .answer import Answer
from .contract import exported
from .failure import Failure, invalid

PAGE_SIZE = 1000
TOKEN_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Catalog:
    @exported
    def describe(self):
        return Description([contract.model(entry) for entry in models.known()], True, False)

    @exported
    def discover(self, context, cursor):
        token = f"&pageToken={_escaped(cursor)}" if cursor else ""
        with api.get(f"{context.base_url}/models?pageSize={PAGE_SIZE}{token}") as response:
            entries, following = models.page(api.value(response))
        return ModelPage([contract.model(entry) for entry in entries], following)

    @exported
    def get_model(self, context, id):
        with api.get(context.base_url + models.path(id)) as response:
            entry = models.listed(api.value(response))
        if not entry["tasks"]:
            raise Failure("not-found", f"this plugin has no task for the model {id}")
        return contract.model(entry)

    @exported
    def voices(self, context, model, cursor):
        return VoicePage([], None)

    @exported
    def check(self, context):
        with api.get(f"{context.base_url}/models?pageSize=1") as response:
            api.value(response)


class Chat:
    @exported
    def generate(self, context, request, sink):
        method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
        url = f"{context.base_url}{models.path(request.model)}:{method}"
        answer = Answer(request.model)
        with sink, api.post_charging(url, contents.body(request)) as response:
            if request.stream:
                for group in api.event_groups(response):
                    # All that one read brought goes on in one host call.
                    _send(sink, [event for data in group for event in answer.take(data)])
                _send(sink, answer.end())
            else:
                _send(sink, answer.take(api.text(response)) + answer.end())


def _send(sink, events):
    if not events:
        return
    try:
        sink.send(contract.chat_events(events))
    except Err as closed:
        raise Failure("canceled", closed.value.message) from None


class Media:
    @exported
    def estimate_usage(self, context, request):
        return contract.usage_lines(veo.estimate(request))

    @exported
    def submit(self, context, request):
        url = f"{context.base_url}{models.path(request.model)}:predictLongRunning"
        with api.post_charging(url, veo.body(request)) as response:
            operation = api.value(response)
        return _step(context, veo.Job.begun(request, operation), operation)

    @exported
    def resume(self, context, state, wake):
        job = veo.Job.decoded(state)
        return _step(context, job, _polled(context, job))

    @exported
    def cancel(self, context, state):
        """The provider has no way to stop a video: one that is finished is handed over, one that failed is over."""
        job = veo.Job.decoded(state)
        operation = _polled(context, job)
        try:
            addresses = job.addresses(operation)
        except Failure as failure:
            if failure.code == "bad-response":
                raise
            return Cancellation_Canceled([])
        if addresses is None:
            return Cancellation_Unsupported()
        return Cancellation_Finished(_outcome(context, job, addresses))


def _polled(context, job):
    with api.get(context.base_url + job.path) as response:
        return api.value(response)


def _step(context, job, operation):
    addresses = job.addresses(operation)
    if addresses is None:
        return contract.pending(job, veo.POLL_MS, veo.STATE_VERSION)
    return Step_Done(_outcome(context, job, addresses))


def _outcome(context, job, addresses):
    return contract.outcome([_made(context, url) for url in addresses], job.used(len(addresses)))


def _made(context, url):
    """The provider's own host wants the key for its download; anything else is there for all. The host fetches both."""
    is_own = veo.origin(url) == veo.origin(context.base_url)
    source = OutputSource_Guarded(url) if is_own else OutputSource_Remote(url)
    return contract.video(source, "video/mp4", {"uri": url})


def _escaped(text):
    """Percent-encoded (RFC 3986 §2.1)."""
    if len(text) > 4096:
        raise invalid("cursor", "this is no page's token")
    return "".join(
        chr(byte) if chr(byte) in TOKEN_CHARACTERS else f"%{byte:02X}" for byte in text.encode()
    )
