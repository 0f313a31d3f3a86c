"""Bar charts of rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .._util.files import atomic_path
from .pipeline import PipelineRun
from .timing import Measurement


def draw(found: Mapping[str, Sequence[Measurement | PipelineRun]], path: Path) -> None:
    """Draw images per second into a PNG file, with a panel for each part."""
    from matplotlib.figure import Figure

    counts = [len(of) for of in found.values()]
    figure = Figure((8, 1 + 0.32 * sum(counts) + 0.6 * len(counts)), layout="constrained")
    panels = figure.subplots(len(counts), 1, squeeze=False, height_ratios=counts)[:, 0]
    for axes, (part, of) in zip(panels, found.items(), strict=True):
        bars = [each.measurement if isinstance(each, PipelineRun) else each for each in of][::-1]
        rates = [bar.images_per_s for bar in bars]
        drawn = axes.barh([bar.name for bar in bars], rates, color="#56b4e9")
        axes.bar_label(drawn, [f"{rate:.0f}" if rate > 20 else f"{rate:.1f}" for rate in rates])
        axes.set_title(part)
        axes.set_xscale("log")
        axes.margins(x=0.15)
    panels[-1].set_xlabel("images/s")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
