import samples

MODEL = "omni-moderation-latest"


def test_a_text_is_judged_by_category(openai, target):
    answer = openai.moderations.create(model=target.model(MODEL), input="I will kill you.")
    assert answer.id.startswith("modr-")
    assert answer.model == target.model(MODEL)
    (verdict,) = answer.results
    assert verdict.flagged and verdict.categories.violence
    assert not verdict.categories.hate_threatening
    assert verdict.category_scores.violence > 0.9
    assert verdict.category_applied_input_types.violence == ["text"]


def test_each_text_of_a_list_has_its_own_verdict(openai, target):
    answer = openai.moderations.create(model=target.model(MODEL), input=["Good morning.", "Murder!"])
    assert [verdict.flagged for verdict in answer.results] == [False, True]


def test_the_parts_of_one_input_are_judged_together(openai, target):
    parts = [
        {"type": "text", "text": "Murder!"},
        {"type": "image_url", "image_url": {"url": samples.data_url(samples.png())}},
    ]
    answer = openai.moderations.create(model=target.model(MODEL), input=parts)
    assert [verdict.flagged for verdict in answer.results] == [True]
