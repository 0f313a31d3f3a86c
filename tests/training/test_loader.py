"""Batches: their content and order depend on seed and epoch only."""

from dataclasses import replace

import numpy as np
import pytest

from xray_seg.data.annotation import FULL, Annotation
from xray_seg.data.arrays import Arrays
from xray_seg.training import loader
from xray_seg.training.augmentation import AUGMENTATIONS, resample
from xray_seg.training.config import TrainingConfig
from xray_seg.training.loader import (
    epoch_batches,
    phantom_arrays,
    steps_per_epoch,
    validation_batch,
)

CONFIG = TrainingConfig(batch_size=2, phantoms=0, seed=4)
NONE = Arrays(np.empty((0, 32, 32), np.float32), np.empty((0, 32, 32, 4), np.uint8))


def make_arrays(count, side=32):
    """Random images; each pixel is of one class."""
    random = np.random.default_rng(count)
    fractions = (np.eye(4)[random.integers(0, 4, (count, side, side))] * 255).astype(np.uint8)
    return Arrays(random.random((count, side, side), np.float32), fractions)


def make_coded(count, offset=0):
    """Every pixel of the image of case n is n."""
    images = np.arange(offset, offset + count, dtype=np.float32)[:, None, None]
    return Arrays(np.tile(images, (1, 32, 32)), np.zeros((count, 32, 32, 4), np.uint8))


def content(*arguments):
    return [part.tobytes() for batch in epoch_batches(*arguments) for part in batch]


@pytest.fixture
def uncoded(monkeypatch):
    """Return epochs as lists of case numbers, with an augmentation that changes nothing."""

    def keep(image, fractions, size, random):
        return image[:size, :size], fractions[:size, :size].astype(np.float32)

    monkeypatch.setitem(AUGMENTATIONS, "full", keep)
    return lambda *arguments: [
        int(number) for images, _ in epoch_batches(*arguments) for number in images[:, 0, 0, 0]
    ]


def test_an_epoch_gives_the_same_bytes_again():
    real = make_arrays(5)
    assert content(real, NONE, CONFIG, 3) == content(real, NONE, CONFIG, 3)


def test_an_epoch_depends_neither_on_those_before_it_nor_on_the_global_random_state():
    real = make_arrays(5)
    before = content(real, NONE, CONFIG, 3)
    for epoch in range(3):
        next(epoch_batches(real, NONE, CONFIG, epoch))
    np.random.seed(0)
    assert content(real, NONE, CONFIG, 3) == before


def test_another_epoch_and_another_seed_give_other_bytes():
    real = make_arrays(5)
    contents = [
        content(real, NONE, CONFIG, 0),
        content(real, NONE, CONFIG, 1),
        content(real, NONE, replace(CONFIG, seed=5), 0),
    ]
    assert len({b"".join(each) for each in contents}) == 3


def test_the_order_changes_from_epoch_to_epoch(uncoded):
    real = make_coded(8)
    orders = {tuple(uncoded(real, NONE, CONFIG, epoch)) for epoch in range(6)}
    assert len(orders) == 6
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(8))}


def test_a_case_that_comes_twice_is_changed_differently():
    (images, _), *_ = epoch_batches(make_arrays(1), NONE, CONFIG, 0)
    assert not np.array_equal(images[0], images[1])


def test_each_case_comes_once_before_any_comes_twice(uncoded):
    order = uncoded(make_coded(5), NONE, replace(CONFIG, steps=6), 0)
    assert len(order) == 12
    assert sorted(order[:5]) == sorted(order[5:10]) == list(range(5))
    assert order[:5] != order[5:10]
    assert len(set(order[10:])) == 2


def test_an_incomplete_batch_is_left_out_and_its_cases_differ_each_epoch(uncoded):
    left_out = set()
    for epoch in range(12):
        order = uncoded(make_coded(5), NONE, CONFIG, epoch)
        assert len(set(order)) == len(order) == 4
        left_out |= set(range(5)) - set(order)
    assert len(left_out) > 1


def test_fewer_cases_than_a_batch_still_fill_one(uncoded):
    order = uncoded(make_coded(2), NONE, replace(CONFIG, batch_size=5), 0)
    assert sorted(order[:2]) == sorted(order[2:4]) == [0, 1]
    assert len(order) == 5


def test_phantoms_are_mixed_in_without_a_repeat_and_differ_each_epoch(uncoded):
    pool = make_coded(loader.PHANTOM_POOL, 100)
    config = replace(CONFIG, phantoms=3)
    mixed = [uncoded(make_coded(5), pool, config, epoch) for epoch in range(4)]
    for order in mixed:
        assert sorted(number for number in order if number < 100) == list(range(5))
        assert len({number for number in order if number >= 100}) == 3
    assert len({frozenset(order) for order in mixed}) > 1


@pytest.mark.parametrize(
    ("cases", "phantoms", "batch_size", "steps", "expected"),
    [
        (198, 16, 4, None, 53),  # 214 / 4 = 53.5
        (198, 0, 32, 10, 10),
        (8, 0, 4, None, 2),
        (3, 0, 4, None, 1),
    ],
)
def test_steps_are_whole_batches_or_the_configured_number(
    cases, phantoms, batch_size, steps, expected
):
    config = TrainingConfig(batch_size=batch_size, phantoms=phantoms, steps=steps)
    assert steps_per_epoch(make_coded(cases), config) == expected


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_batches_have_the_networks_shapes(name):
    config = replace(CONFIG, augmentation=name)
    made = list(epoch_batches(make_arrays(4), NONE, config, 0))
    assert len(made) == 2
    for images, targets in made:
        assert images.shape == (2, 16, 16, 1)
        assert targets.shape == (2, 16, 16, 4)
        assert images.dtype == targets.dtype == np.float32


def test_an_epoch_can_be_left_before_its_end():
    epoch = epoch_batches(make_arrays(4), NONE, replace(CONFIG, steps=40), 0)
    next(epoch)
    epoch.close()
    assert list(epoch) == []


def test_a_failure_in_augmentation_reaches_the_step(monkeypatch):
    def fail(*arguments):
        raise ZeroDivisionError("augmentation failed")

    monkeypatch.setitem(AUGMENTATIONS, "full", fail)
    with pytest.raises(ZeroDivisionError, match="augmentation failed"):
        list(epoch_batches(make_arrays(4), NONE, CONFIG, 0))


def test_validation_holds_all_cases_in_order_without_augmentation():
    arrays = make_arrays(3)
    images, targets = validation_batch(arrays)
    assert images.shape == (3, 16, 16, 1)
    for index in range(3):
        image, target = resample(arrays.images[index], arrays.fractions[index], 16)
        np.testing.assert_array_equal(images[index, ..., 0], image)
        np.testing.assert_array_equal(targets[index], target)


def test_phantoms_are_decoded_like_cases_and_only_made_if_configured():
    assert len(phantom_arrays(CONFIG, 16).images) == 0
    made = phantom_arrays(replace(CONFIG, phantoms=1), 16)
    assert made.images.shape[1:] == (32, 32)
    assert made.fractions.shape == (*made.images.shape, 4)
    assert made.images.min() == 0
    assert made.images.max() == 1
    sums = made.fractions.sum(axis=-1, dtype=int)
    assert np.abs(sums - 255).max() <= 2
    assert len({image.tobytes() for image in made.images}) == len(made.images) >= 8
    shares = made.fractions.mean(axis=(0, 1, 2))
    assert shares[0] > shares[3] > shares[2] > shares[1] > 0


def test_cases_are_used_as_often_as_they_are_to_be_repeated(uncoded):
    repeats = np.array([2.0, 1.0, 0.5, 0.5, 0.25, 0.75])
    real = replace(make_coded(6), repeats=repeats)
    assert steps_per_epoch(real, CONFIG) == 2  # 5 uses in batches of 2
    config = replace(CONFIG, batch_size=1)
    uses = [sorted(uncoded(real, NONE, config, epoch)) for epoch in range(60)]
    assert {len(epoch) for epoch in uses} == {5}
    for number, repeat in enumerate(repeats):
        counts = [epoch.count(number) for epoch in uses]
        assert {int(np.floor(repeat)), int(np.ceil(repeat))} >= set(counts)
        assert np.mean(counts) == pytest.approx(repeat, abs=0.2)


def test_targets_of_partly_annotated_cases_say_what_labels_mean():
    real = make_arrays(3)
    known = [FULL, Annotation(("lungs",)), Annotation(())]
    partial = replace(real, possible=np.stack([each.possible for each in known]))
    images, targets = next(iter(epoch_batches(partial, NONE, replace(CONFIG, batch_size=3), 0)))
    plain_images, plain = next(iter(epoch_batches(real, NONE, replace(CONFIG, batch_size=3), 0)))
    np.testing.assert_array_equal(images, plain_images)
    np.testing.assert_array_equal(targets[..., :4], plain)
    codes = {int((each.possible.ravel() * 2 ** np.arange(16)).sum()) for each in known}
    assert {int(code) for code in np.unique(targets[..., 4])} == codes
    assert (targets[..., 4] == targets[:, :1, :1, 4]).all()
