"""xray-seg: masks of clavicles, heart and lungs in chest radiographs.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .anatomy import CLAVICLES as CLAVICLES
    from .anatomy import HEART as HEART
    from .anatomy import LUNGS as LUNGS
    from .anatomy import ORGANS as ORGANS
    from .errors import XraySegError as XraySegError
    from .measurements import Measurements as Measurements
    from .measurements import measure as measure
    from .quality import Quality as Quality
    from .radiograph import Radiograph as Radiograph
    from .readers import RawLayout as RawLayout
    from .readers import read as read
    from .segmenter import Segmentation as Segmentation
    from .segmenter import Segmenter as Segmenter

_HOMES = {
    "CLAVICLES": "anatomy",
    "HEART": "anatomy",
    "LUNGS": "anatomy",
    "ORGANS": "anatomy",
    "XraySegError": "errors",
    "Measurements": "measurements",
    "measure": "measurements",
    "Quality": "quality",
    "Radiograph": "radiograph",
    "RawLayout": "readers",
    "read": "readers",
    "Segmentation": "segmenter",
    "Segmenter": "segmenter",
}

__version__ = "0.1.0"
__all__ = [  # noqa: PLE0604 - a test holds it to what is exported
    "__version__",
    *_HOMES,
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'xray_seg' has no attribute '{name}'")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
