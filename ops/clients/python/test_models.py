import pytest

import targets


def test_the_list_holds_the_models_of_every_instance(host_openai):
    models = {model.id: model for model in host_openai.models.list()}
    for model in ("mock/mock-chat", "claude/claude-haiku-4-5", "eleven/mock-speech", "replicate/mock/image"):
        assert model in models, sorted(models)
        assert models[model].object == "model"
        assert models[model].owned_by == model.split("/")[0]


def test_a_compatible_server_has_its_own_models_and_none_of_the_original_s(host_openai):
    own = {model.id for model in host_openai.models.list() if model.owned_by == "mock"}
    with targets.mock().openai() as client:
        assert own == {f"mock/{model.id}" for model in client.models.list()}


def test_a_listed_model_can_be_retrieved(openai, target):
    wanted = target.model("mock-chat")
    assert wanted in [model.id for model in openai.models.list()]
    model = openai.models.retrieve(wanted)
    assert (model.id, model.object) == (wanted, "model")


PATHS = ["mock/mock-chat", "mock%2Fmock-chat", "replicate/mock/image", "replicate%2Fmock%2Fimage"]


@pytest.mark.parametrize("path", PATHS)
def test_slashes_of_an_id_may_be_raw_or_encoded(raw, path):
    answer = raw.get(f"/v1/models/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == path.replace("%2F", "/")


def test_created_is_unix_seconds_that_are_known_from_the_provider(host_openai):
    assert host_openai.models.retrieve("mock/mock-chat").created == 1_767_225_600
