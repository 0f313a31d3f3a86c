"""Model cards: what they say of data, results, calibration and training."""

from dataclasses import replace

import pytest

from xray_seg.models.model_folder import load_model, shipped_models
from xray_seg.training.model_card import model_card


def changed(model, **entries):
    """The model with other entries of its card."""
    return replace(model, card={**model.card, **entries})


@pytest.fixture(scope="module")
def model():
    return load_model("inverted-net-128")


def test_a_card_states_use_network_data_and_limits(model):
    text = model_card(model)
    assert text.startswith("# inverted-net-128\n")
    for part in ("Intended use", "Not for", "`inverted-net` on a grid of 128", "Limits"):
        assert part in text
    split = model.card["split"]
    assert f"{len(split['train'])} for training, {len(split['validation'])} for vali" in text


def test_results_are_listed_by_data_set(model):
    def organ(dice, jaccard):
        return {"dice": {"mean": dice}, "jaccard": {"mean": jaccard}}

    nothing = organ(None, None)
    metrics = {
        "engine": "litert",
        "precision": "int8",
        "organs": {},
        "datasets": {
            "a": {
                "organs": {
                    "clavicles": organ(0.9, 0.8),
                    "heart": organ(0.95, 0.9),
                    "lungs": organ(1, 1),
                }
            },
            "b": {"organs": {"clavicles": nothing, "heart": nothing, "lungs": organ(0.97, 0.94)}},
        },
    }
    text = model_card(changed(model, validation=metrics))
    assert "| a | 0.900 / 0.800 | 0.950 / 0.900 | 1.000 / 1.000 |" in text
    assert "| b | unknown | unknown | 0.970 / 0.940 |" in text


def test_data_sets_are_listed_with_masks_and_terms(model):
    datasets = [
        {"name": "a", "annotation": {"organs": ["lungs"], "lungs_include": ["heart"]}},
        {
            "name": "b",
            "annotation": {"organs": [], "lungs_include": []},
            "source": "Clinic, CC BY 4.0",
        },
    ]
    text = model_card(changed(model, datasets=datasets))
    assert "| a | lungs (lungs include heart) | not stated |" in text
    assert "| b | none | Clinic, CC BY 4.0 |" in text


def test_the_plan_is_shown_with_its_command(model):
    text = model_card(changed(model, plan="name = 'x'\n"))
    assert "xrayseg train --config training.toml" in text
    assert "```toml\nname = 'x'\n```" in text
    assert "training.toml" not in model_card(model)


def test_the_shipped_cards_are_those_of_their_models():
    for name in shipped_models():
        model = load_model(name)
        assert (model.folder / "README.md").read_text() == model_card(model)
