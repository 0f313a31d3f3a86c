"""All outputs of a batch but the network's part, on kernels compiled for other processors."""

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

#: Runs a batch with an engine of soft probabilities, and writes what kernels make of noise, where a
#: last bit of a sum shows.
_RUN = """
import sys
from pathlib import Path
import numpy as np
from helpers.place import Place, StubEngine
from xray_seg.kernels import upsample_argmax, upsample_plane
from xray_seg.preprocessing.preprocessor import Preprocessor
from xray_seg.radiograph import Radiograph

class SoftEngine(StubEngine):
    def predict(self, grids):
        near = np.abs(grids[..., None] - np.array([0.2, 0.4, 0.6, 0.8], np.float32))
        near = 1 / (np.float32(0.05) + near)
        return near / near.sum(axis=-1, keepdims=True)

if __name__ == "__main__":
    place = Place(Path(sys.argv[1]))
    place.engine = place.segmenter.engine = SoftEngine()
    place.add("a.png", "b.png", "c.png")
    summary, rows = place.run(
        save=("labels", "organs", "overlay", "rle", "contours", "probabilities"), sides=True
    )
    assert summary.done == 3, rows
    noise = np.random.default_rng(1)
    radiograph = Radiograph(noise.integers(0, 4096, (701, 533), np.uint16), inverted=False)
    soft = noise.random((64, 64, 4), np.float32)
    (place.out / "noise").mkdir()
    np.save(place.out / "noise" / "grid.npy", Preprocessor(64)(radiograph).grid)
    np.save(place.out / "noise" / "plane.npy", upsample_plane(soft[..., 0], (701, 533)))
    np.save(place.out / "noise" / "labels.npy", upsample_argmax(soft, (2040, 1999)))
"""


def _outputs(folder, **environment):
    """Digests of label maps and other outputs by name; kernels are compiled anew."""
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", _RUN, folder],
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")},
            "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
            "NUMBA_CACHE_DIR": str(folder / "cache"),
            **environment,
        },
        check=True,
    )
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder / "masks").glob("*/*")
        if path.parent.name != ".xrayseg"
    }


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of x86-64 processors")
def test_outputs_are_the_same_bytes_on_kernels_for_any_processor(tmp_path):
    """x86-64 has neither FMA nor AVX, haswell has both."""
    here = _outputs(tmp_path / "here")
    assert len(here) > 15
    for name in ("x86-64", "haswell"):
        assert _outputs(tmp_path / name, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES="") == here
