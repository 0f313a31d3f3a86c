"""Compare own kernels with libraries that do the same work, on one label map and one core.

    pip install 'xray-seg[bench]'
    python benchmarks/alternatives.py

The label map is a phantom of 2048 x 2048 with specks and holes. Results are compared before they
are timed. Calls take turns, and the least processor time of their repeats counts: unlike elapsed
time, it does not depend on what else runs.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import cc3d
import click
import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt

from xray_seg.data.phantom import make_phantom, phantom_labels
from xray_seg.kernels import connect, deflate, find_runs
from xray_seg.labels import BACKGROUND, CLAVICLES, HEART, LUNGS, ORGANS, Organ
from xray_seg.postprocessing.cleanup import HOLE_SHARE, SPECK_SHARE, clean

Labels = npt.NDArray[np.uint8]

SIDE, DEFECTS = 2048, 40


class Components(NamedTuple):
    """4-connected components of a mask.

    Attributes:
        of: (H, W) component of each pixel, 0 outside the mask.
        areas: (n,) area of each.
        boxes: (n, 4) first and last row, first and last column of each, the last ones exclusive.
    """

    of: npt.NDArray[Any]
    areas: npt.NDArray[Any]
    boxes: npt.NDArray[Any]


def damaged_map(seed: int) -> Labels:
    """A (SIDE, SIDE) phantom label map with specks of every label."""
    random = np.random.default_rng(seed)
    labels = phantom_labels(make_phantom(seed, SIDE))
    for _ in range(DEFECTS):
        y, x, height, width = (*random.integers(0, SIDE - 30, 2), *random.integers(3, 30, 2))
        labels[y : y + height, x : x + width] = random.integers(0, 4)
    return labels


def areas_by_runs(labels: Labels) -> list[tuple[int, int]]:
    """(label, area) of every component, sorted."""
    runs = find_runs(labels)
    components = connect(runs, np.arange(256))
    areas = np.bincount(components, runs.lengths).astype(int)
    label_of = np.empty(len(areas), np.uint8)
    label_of[components] = runs.labels
    kept = label_of != BACKGROUND
    return sorted(zip(label_of[kept].tolist(), areas[kept].tolist(), strict=True))


def areas_by_cc3d(labels: Labels) -> list[tuple[int, int]]:
    """The same with one pass of cc3d over all labels."""
    components = cc3d.connected_components(labels, connectivity=4)
    statistics = cc3d.statistics(components)
    found = []
    for component in range(1, len(statistics["voxel_counts"])):
        rows, columns = statistics["bounding_boxes"][component]
        box = components[rows, columns]
        place = np.unravel_index(int((box == component).argmax()), box.shape)
        label = labels[rows, columns][place]
        found.append((int(label), int(statistics["voxel_counts"][component])))
    return sorted(found)


def areas_by_opencv(labels: Labels) -> list[tuple[int, int]]:
    """The same with one pass of OpenCV per label."""
    found = []
    for organ in ORGANS:
        components = opencv_components(labels == organ.label)
        found += [(organ.label, int(area)) for area in components.areas[1:]]
    return sorted(found)


def opencv_components(mask: npt.NDArray[np.bool_]) -> Components:
    """4-connected components by OpenCV."""
    _, components, statistics, _ = cv2.connectedComponentsWithStats(
        mask.view(np.uint8), connectivity=4
    )
    x, y, width, height, areas = statistics.T
    return Components(components, areas, np.stack([y, y + height, x, x + width], axis=1))


def cc3d_components(mask: npt.NDArray[np.bool_]) -> Components:
    """4-connected components by cc3d."""
    components = cc3d.connected_components(mask, connectivity=4)
    statistics = cc3d.statistics(components, no_slice_conversion=True)
    boxes = np.asarray(statistics["bounding_boxes"], int) + np.array((0, 1, 0, 1))
    return Components(components, statistics["voxel_counts"], boxes)


def clean_pixels(labels: Labels, components_of: Callable[..., Components]) -> None:
    """The steps of ``clean`` on pixels, in place."""
    for organ, joined in (
        (HEART, (HEART,)),
        (CLAVICLES, (CLAVICLES,)),
        (LUNGS, (LUNGS, CLAVICLES)),
    ):
        _drop_specks(labels, organ, joined, components_of)
    components = components_of(labels == BACKGROUND)
    enclosed = np.ones(len(components.areas), bool)
    enclosed[0] = False
    of = components.of
    for border in (of[0], of[-1], of[:, 0], of[:, -1]):
        enclosed[border] = False
    for hole in np.flatnonzero(enclosed):
        _fill_hole(labels, components, int(hole))


def _drop_specks(
    labels: Labels,
    organ: Organ,
    joined: tuple[Organ, ...],
    components_of: Callable[..., Components],
) -> None:
    mask = labels == organ.label
    together = mask if len(joined) == 1 else np.isin(labels, [each.label for each in joined])
    components = components_of(together)
    areas = components.areas.copy()
    if len(joined) > 1:
        areas = np.bincount(components.of[mask], minlength=len(areas))
    areas[0] = 0
    present = np.flatnonzero(areas)
    largest = present[np.argsort(-areas[present], kind="stable")][: organ.pieces]
    kept = largest[areas[largest] >= SPECK_SHARE * areas[largest[:1]]]
    if len(kept) < len(present):
        is_kept = np.zeros(len(areas), bool)
        is_kept[kept] = True
        labels[mask & ~is_kept[components.of]] = BACKGROUND


def _fill_hole(labels: Labels, components: Components, hole: int) -> None:
    top, bottom, left, right = components.boxes[hole]
    box = np.s_[top - 1 : bottom + 1, left - 1 : right + 1]  # a hole is not at the image's border
    inside, around = components.of[box] == hole, labels[box]
    borders = np.zeros(256, int)
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        edge = inside & ~np.roll(inside, step, axis)
        borders += np.bincount(np.roll(around, step, axis)[edge], minlength=256)
    if np.count_nonzero(borders) == 1 or components.areas[hole] <= HOLE_SHARE * labels.size:
        around[inside] = borders.argmax()


def in_copy(work: Callable[[Labels], Any], labels: Labels) -> Labels:
    """The label map after work that changes it in place."""
    labels = labels.copy()
    work(labels)
    return labels


def report(title: str, calls: dict[str, Callable[[], Any]], repeats: int) -> None:
    """Time calls in turns and print the least processor time of each, relative to the first."""
    least = dict.fromkeys(calls, np.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            began = time.process_time()
            call()
            least[name] = min(least[name], time.process_time() - began)
    click.echo(f"\n{title}")
    own = next(iter(least.values()))
    for name, seconds in least.items():
        click.echo(f"  {name:34} {1e3 * seconds:8.2f} ms {seconds / own:7.1f} x")


def compare_components(labels: Labels, repeats: int) -> None:
    """Components and their areas per label."""
    expected = areas_by_runs(labels)
    if not expected == areas_by_cc3d(labels) == areas_by_opencv(labels):
        raise AssertionError("components differ")
    report(
        "Components and areas per label",
        {
            "xray-seg, runs": partial(areas_by_runs, labels),
            "cc3d": partial(areas_by_cc3d, labels),
            "OpenCV": partial(areas_by_opencv, labels),
        },
        repeats,
    )


def compare_cleanup(labels: Labels, repeats: int) -> None:
    """The whole cleanup."""
    calls: dict[str, Callable[[], Labels]] = {
        "xray-seg, runs": partial(in_copy, clean, labels),
        "numpy + cc3d": partial(
            in_copy, partial(clean_pixels, components_of=cc3d_components), labels
        ),
        "numpy + OpenCV": partial(
            in_copy, partial(clean_pixels, components_of=opencv_components), labels
        ),
    }
    expected = calls["xray-seg, runs"]()
    if np.array_equal(expected, labels):
        raise AssertionError("the label map has nothing to clean")
    for name, call in calls.items():
        if not np.array_equal(call(), expected):
            raise AssertionError(f"{name} cleans differently")
    report("Cleanup, copy of the map included", calls, repeats)


def compare_compression(labels: Labels, repeats: int) -> None:
    """zlib streams of a label map, by time and size."""
    runs = find_runs(labels)
    calls: dict[str, Callable[[], Any]] = {
        "xray-seg, known runs": partial(deflate, runs),
        "xray-seg, runs found first": lambda: deflate(find_runs(labels)),
    }
    for name in ("deflate", "zlibng", "zlib"):  # imagecodecs' deflate is libdeflate
        for level in (1, 6):
            encode = getattr(imagecodecs, f"{name}_encode")
            calls[f"imagecodecs {name} {level}"] = partial(encode, labels, level=level)
    sizes = {}
    for name, call in calls.items():
        stream = bytes(call())
        if zlib.decompress(stream) != labels.tobytes():
            raise AssertionError(f"{name} does not decompress to the label map")
        sizes[name] = len(stream)
    report("Compression", calls, repeats)
    for name, size in sizes.items():
        click.echo(f"  {name:34} {size:8,} bytes")


@click.command()
@click.option("--repeats", default=15, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of the phantom.")
def main(repeats: int, seed: int) -> None:
    """Compare components, cleanup and compression."""
    cv2.setNumThreads(1)
    labels = damaged_map(seed)
    compare_components(labels, repeats)
    compare_cleanup(labels, repeats)
    compare_compression(in_copy(clean, labels), repeats)


if __name__ == "__main__":
    main()
