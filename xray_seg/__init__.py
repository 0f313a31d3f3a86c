"""xray-seg: masks of clavicles, heart and lungs in chest radiographs.

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from ._version import __version__ as __version__

if _TYPE_CHECKING:
    from .analysis.measurements import Measurements as Measurements
    from .analysis.measurements import measure as measure
    from .analysis.quality import Quality as Quality
    from .batch.options import BatchOptions as BatchOptions
    from .batch.options import Shard as Shard
    from .batch.options import Summary as Summary
    from .batch.run import run_batch as run_batch
    from .data.cases import Case as Case
    from .data.cases import find_cases as find_cases
    from .errors import XraySegError as XraySegError
    from .evaluation.scoring import CaseScores as CaseScores
    from .evaluation.scoring import evaluate as evaluate
    from .labels import CLAVICLES as CLAVICLES
    from .labels import HEART as HEART
    from .labels import LUNGS as LUNGS
    from .labels import ORGANS as ORGANS
    from .preprocessing.corrections import Corrections as Corrections
    from .radiograph import Orientation as Orientation
    from .radiograph import Radiograph as Radiograph
    from .radiograph import Region as Region
    from .readers import RawLayout as RawLayout
    from .readers import read as read
    from .segmentation import Segmentation as Segmentation
    from .segmenter import Segmenter as Segmenter
    from .training.config import TrainingConfig as TrainingConfig
    from .training.run import train as train

#: Module of each exported name.
_HOMES = {
    "BatchOptions": "batch.options",
    "Case": "data.cases",
    "CaseScores": "evaluation.scoring",
    "CLAVICLES": "labels",
    "Corrections": "preprocessing.corrections",
    "evaluate": "evaluation.scoring",
    "find_cases": "data.cases",
    "HEART": "labels",
    "LUNGS": "labels",
    "measure": "analysis.measurements",
    "Measurements": "analysis.measurements",
    "ORGANS": "labels",
    "Orientation": "radiograph",
    "Quality": "analysis.quality",
    "Radiograph": "radiograph",
    "RawLayout": "readers",
    "read": "readers",
    "Region": "radiograph",
    "run_batch": "batch.run",
    "Segmentation": "segmentation",
    "Segmenter": "segmenter",
    "Shard": "batch.options",
    "Summary": "batch.options",
    "train": "training.run",
    "TrainingConfig": "training.config",
    "XraySegError": "errors",
}

__all__ = [  # noqa: PLE0604 - a test holds it to what is exported
    "__version__",
    *_HOMES,
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'xray_seg' has no attribute '{name}'")
    value = getattr(_import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
