"""Devices that engines can run on: GPUs that TensorFlow sees, and what the processor computes."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from ..._util.concurrency import available_cores
from ..._util.tensorflow import stderr_held_back, tensorflow


def devices() -> dict[str, Any]:
    """Operating system, usable cores and the number of GPUs; imports TensorFlow."""
    return {"machine": platform.platform(), "cores": available_cores(), "gpus": gpu_count()}


def gpu_seems_present() -> bool:
    """Whether an NVIDIA driver is loaded and not hidden, without importing TensorFlow."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    return not hidden and Path("/proc/driver/nvidia/version").exists()


def gpu_count() -> int:
    """Number of GPUs that TensorFlow can use; makes it take their memory as needed, not at once."""
    tf = tensorflow()
    with stderr_held_back():
        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            try:
                tf.config.experimental.set_memory_growth(gpu, True)
            except RuntimeError:
                break  # TensorFlow has started in this process
    return len(gpus)


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself; emulated, it is slower than float32."""
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in info or "amx_bf16" in info
