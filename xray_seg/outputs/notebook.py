"""HTML representation of a segmentation in notebooks: overlay, measurements and warnings."""

from __future__ import annotations

import base64
from pathlib import PurePath

from ..analysis.measurements import column_name
from ..labels import ORGANS
from .grey import render_grey
from .mask_set import MaskSet
from .overlay import render_overlay

#: Longer side of the picture in pixels, and its JPEG quality. Notebook files contain the picture.
_SIDE, _JPEG_QUALITY = 420, 80

_PAGE = """\
<div style="display: flex; gap: 1.5em; align-items: start; flex-wrap: wrap">
  <img alt="radiograph, organs outlined" src="data:image/jpeg;base64,{{ jpeg }}">
  <div>
    <strong>{{ name }}</strong>, {{ width }} &times; {{ height }} pixels
    <table>
      <tr><th>organ</th><th>area</th><th>predicted Dice</th></tr>
      {% for organ, colour, area, dice in organs %}
      <tr>
        <td><span style="color: {{ colour }}">&#9632;</span> {{ organ }}</td>
        <td>{{ area }}</td><td>{{ dice }}</td>
      </tr>
      {% endfor %}
    </table>
    <p>cardiothoracic ratio: {{ ratio }}</p>
    {% for warning in warnings %}<p>&#9888; {{ warning }}</p>{% endfor %}
  </div>
</div>
"""


def render_card(masks: MaskSet) -> str:
    """Render the masks of one radiograph as self-contained HTML; file names are escaped."""
    import imagecodecs
    from jinja2 import Environment

    measured, quality = masks.measurements, masks.quality
    upright = masks.upright
    grey = render_grey(upright.radiograph, _SIDE)
    picture = render_overlay(grey, upright.labels, upright.measurements)
    height, width = masks.radiograph.shape
    ratio = measured.cardiothoracic_ratio
    return (
        Environment(autoescape=True)
        .from_string(_PAGE)
        .render(
            jpeg=base64.b64encode(imagecodecs.jpeg_encode(picture, level=_JPEG_QUALITY)).decode(),
            name=PurePath(masks.radiograph.source).name,
            width=width,
            height=height,
            organs=[
                (
                    organ.name,
                    "rgb({}, {}, {})".format(*organ.colour),
                    _area(masks, organ.name),
                    f"{quality.predicted_dice[organ.name]:.2f}"
                    if quality.predicted_dice
                    else quality.reason,
                )
                for organ in ORGANS
            ],
            ratio=measured.reasons["cardiothoracic_ratio"] if ratio is None else f"{ratio:.3f}",
            warnings=(*masks.radiograph.notes, *quality.warnings),
        )
    )


def _area(masks: MaskSet, organ: str) -> str:
    measured = masks.measurements
    cm2, pixels = (measured[column_name(organ, f"area_{unit}")] for unit in ("cm2", "px"))
    if pixels is None:
        return "not found"
    return f"{pixels:,} px" if cm2 is None else f"{cm2:.1f} cm²"
