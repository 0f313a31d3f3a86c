"""Speed measurements: kernels, inference, the whole pipeline.

Times on a machine in use vary from minute to minute. Compare only what was measured in turns within
one run. The results of calls are checked before they are timed.
"""

from .inference import bench_inference
from .kernels import bench_kernels
from .pipeline import PipelineRun, bench_pipeline
from .timing import Measurement, take_turns

__all__ = [
    "Measurement",
    "PipelineRun",
    "bench_inference",
    "bench_kernels",
    "bench_pipeline",
    "take_turns",
]
