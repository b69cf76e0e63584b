import json
import unittest

from gemini import failure, json_text, models, veo
from gemini.failure import Failure

from . import shapes
from .shapes import record

NAME = "models/veo-3.0-generate-001/operations/abc123"


def finished(*uris, **members):
    samples = [{"video": {"uri": uri}} for uri in uris]
    return {"name": NAME, "done": True, "response": {"generateVideoResponse": {"generatedSamples": samples, **members}}}


class Videos(unittest.TestCase):
    def raised(self, call, *arguments):
        with self.assertRaises(Failure) as raised:
            call(*arguments)
        return raised.exception

    def test_a_request_is_an_instance_with_its_images_and_parameters(self):
        inputs = [
            record(role="first-frame", media=shapes.media(shapes.Blob("a"))),
            record(role="reference", media=shapes.media(shapes.Blob("b"), "image/jpeg")),
        ]
        request = shapes.video(inputs=inputs, size="1920x1080", duration_ms=8000, count=2, seed=7)
        pieces = json_text.pieces(veo.body(request))
        body = json.loads("".join(piece if isinstance(piece, str) else piece.blob.name for piece in pieces))
        self.assertEqual(body["instances"][0]["image"], {"bytesBase64Encoded": "a", "mimeType": "image/png"})
        self.assertEqual(body["instances"][0]["referenceImages"][0]["referenceType"], "asset")
        wanted = {"aspectRatio": "16:9", "resolution": "1080p", "durationSeconds": 8, "sampleCount": 2, "seed": 7}
        self.assertEqual(body["parameters"], wanted)
        self.assertEqual(veo.estimate(request), [("video-ms", 16000, {"resolution": "1080p"})])

    def test_what_a_video_cannot_have_is_refused_and_named(self):
        link = record(role="image", media=shapes.linked("https://x.example/a.png"))
        for change, param in [
            ({"quality": "high"}, "quality"),
            ({"prompt": None}, "prompt"),
            ({"count": 5}, "count"),
            ({"duration_ms": 1500}, "duration_ms"),
            ({"size": "100x100"}, "size"),
            ({"size": "1280x720", "aspect_ratio": "9:16"}, "aspect_ratio"),
            ({"inputs": [link]}, "inputs.0"),
            ({"task": "music"}, "task"),
            ({"options": '{"seed":1}'}, "options.seed"),
        ]:
            self.assertEqual(self.raised(veo.body, shapes.video(**change)).param, param)

    def test_a_ticket_finds_its_operation_again_and_a_foreign_one_is_refused(self):
        job = veo.Job.begun(shapes.video(duration_ms=4000), {"name": NAME})
        found = veo.Job.decoded(job.encoded())
        self.assertEqual((found.path, found.ms), (f"/{NAME}", 4000))
        for state in (b"{}", b"\xff", b'{"operation":"models/x/operations/../../y","ms":1,"resolution":null}'):
            self.assertEqual(self.raised(veo.Job.decoded, state).code, "internal")
        self.assertEqual(self.raised(veo.Job.begun, shapes.video(), {"name": "../files"}).code, "bad-response")

    def test_an_operation_is_going_on_done_failed_or_filtered(self):
        job = veo.Job(NAME, 8000, None)
        self.assertIsNone(job.addresses({"name": NAME}))
        self.assertEqual(job.addresses(finished("https://x.example/v")), ["https://x.example/v"])
        self.assertEqual(job.used(1), [("video-ms", 8000, {"resolution": "720p"})])
        error = {"name": NAME, "done": True, "error": {"code": 8, "message": "busy"}}
        self.assertEqual(self.raised(job.addresses, error).code, "internal")  # it is over: nobody is to ask again
        filtered = self.raised(job.addresses, finished(raiMediaFilteredReasons=["It shows a person."]))
        self.assertEqual((filtered.code, filtered.message), ("content-refused", "It shows a person."))
        self.assertEqual(self.raised(job.addresses, finished("file:///etc/passwd")).code, "bad-response")
        self.assertEqual(self.raised(job.addresses, {"done": True}).code, "bad-response")

    def test_the_origin_of_an_address_is_told_from_its_path(self):
        self.assertEqual(veo.origin("https://a.example:8443/v1beta/files/x?alt=media"), "https://a.example:8443")


class Failures(unittest.TestCase):
    def of(self, http, **error):
        return failure.from_response(http, [], json.dumps({"error": error}))

    def test_every_documented_status_has_a_failure_word(self):
        for http, status, word in [
            (400, "INVALID_ARGUMENT", "invalid-request"),
            (400, "FAILED_PRECONDITION", "forbidden"),
            (401, "UNAUTHENTICATED", "unauthenticated"),
            (403, "PERMISSION_DENIED", "forbidden"),
            (404, "NOT_FOUND", "not-found"),
            (429, "RESOURCE_EXHAUSTED", "rate-limited"),
            (500, "INTERNAL", "unavailable"),
            (503, "UNAVAILABLE", "overloaded"),
            (504, "DEADLINE_EXCEEDED", "timeout"),
        ]:
            found = self.of(http, code=http, status=status, message="m")
            self.assertEqual((found.code, found.http_status), (word, http), status)

    def test_a_refused_key_is_told_and_never_quoted(self):
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        found = self.of(400, code=400, status="INVALID_ARGUMENT", message="key AIza123 not valid", details=[info])
        self.assertEqual(found.code, "unauthenticated")
        self.assertNotIn("AIza", found.message)

    def test_details_name_the_field_the_wait_and_an_exhausted_day(self):
        retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s"}
        found = self.of(429, code=429, status="RESOURCE_EXHAUSTED", message="slow down", details=[retry])
        self.assertEqual((found.code, found.retry_after_ms), ("rate-limited", 34075))
        quota = {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
        }
        found = self.of(429, code=429, status="RESOURCE_EXHAUSTED", message="m", details=[quota, retry])
        self.assertEqual(found.code, "quota-exhausted")
        field = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "contents"}]}
        self.assertEqual(self.of(400, status="INVALID_ARGUMENT", message="m", details=[field]).param, "contents")

    def test_documents_of_other_shapes_never_break_the_reading(self):
        for body in ("<html>", "[]", "{}", '{"error":"text"}', '{"error":{"details":[1,{"violations":3}]}}', "[" * 100000):
            self.assertEqual(failure.from_response(502, [], body).code, "unavailable")
        listed = failure.from_response(429, [("retry-after", "3")], '[{"error":{"status":"RESOURCE_EXHAUSTED"}}]')
        self.assertEqual((listed.code, listed.retry_after_ms), ("rate-limited", 3000))
        self.assertEqual(failure.from_response(307, [], "").code, "bad-response")


class Models(unittest.TestCase):
    def test_a_page_has_what_this_plugin_serves_and_the_next_page_s_token(self):
        def row(name, *methods):
            return {"name": f"models/{name}", "supportedGenerationMethods": methods, "inputTokenLimit": 100, "outputTokenLimit": 10}

        rows = [
            row("gemini-2.5-flash", "generateContent", "countTokens"),
            row("veo-3.0-generate-001", "predictLongRunning"),
            row("gemini-embedding-001", "embedContent"),
            row("gemini-2.5-flash-preview-tts", "generateContent"),
        ]
        found, following = models.page(json.loads(json.dumps({"models": rows, "nextPageToken": "t"})))
        self.assertEqual([(model["id"], model["tasks"]) for model in found], [
            ("gemini-2.5-flash", ["chat"]),
            ("veo-3.0-generate-001", ["video-generation"]),
        ])
        self.assertEqual((found[0]["context_tokens"], following), (110, "t"))
        self.assertTrue(found[0]["prices"])
        self.assertEqual(models.page({}), ([], None))
        for bad in ([], {"models": 3}, {"models": [{}]}):
            with self.assertRaises(Failure):
                models.page(bad)

    def test_an_id_cannot_lead_to_another_address(self):
        self.assertEqual(models.path("gemini-2.5-flash"), "/models/gemini-2.5-flash")
        self.assertEqual(models.path("tunedModels/mine"), "/tunedModels/mine")
        for id in ("../files", "a/b", "", "a?x", "a:b", "."):
            with self.assertRaises(Failure):
                models.path(id)

    def test_known_models_are_complete_and_their_schemas_parse(self):
        for model in models.known():
            self.assertIsInstance(json.loads(model["options_schema"]), dict)
            self.assertTrue(model["id"] and model["name"] and model["tasks"])
