"""What schemathesis loads beside itself: the good requests that were made ready for it, and who asks."""

import os
import pickle
from pathlib import Path

import schemathesis

from people import COOKIE

KEY = os.environ["GOODS_KEY"]
# Written by the test that started this program.
GOODS = pickle.loads(Path(os.environ["GOODS"]).read_bytes())


@schemathesis.hook
def before_load_schema(context, schema) -> None:
    """The session's cookie by the name that it has without TLS, as the description says."""
    schema["components"]["securitySchemes"]["session"]["name"] = COOKIE


@schemathesis.hook
def before_add_examples(context, examples) -> None:
    """The good request in the place of what the description gives as an example, which speaks of nothing that is here."""
    good = GOODS.get(context.operation.label)
    if good is None:
        return
    body = {"body": good.body, "media_type": good.media_type} if good.media_type else {}
    case = context.operation.Case(path_parameters=good.path, query=good.query, headers=dict(good.headers), **body)
    if KEY:
        introduce(case)
        # Cases that a hook makes are not taken through `auth`, and this one's caller is to be doubted like the others'.
        case._has_explicit_auth = True
    examples[:] = [case]


def introduce(case) -> None:
    """Say who asks: by a session where a browser does, or else by the caller's key."""
    good = GOODS.get(case.operation.label)
    if good is not None and good.cookies:
        case.cookies.update(good.cookies)
        case.headers.update(good.headers)
    else:
        case.headers["authorization"] = f"Bearer {KEY}"


if KEY:

    @schemathesis.auth()
    class Caller:
        """Who asks what schemathesis thinks of by itself."""

        def get(self, case, context) -> str:
            return KEY

        def set(self, case, key, context) -> None:
            introduce(case)
