"""How fast this product is here: kernels, inference, the whole pipeline.

Times of a machine in use differ from minute to minute, so what counts are ratios of things
measured in turn within one run. Every measured call is checked for its result first.
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
