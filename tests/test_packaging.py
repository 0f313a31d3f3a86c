"""The wheel holds every module and weight file as a real file; kernels are cached for the user."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("cli", "kernels", "weights", "xray_seg")


def _setuptools_is_new_enough():
    """Whether the build can use the setuptools of this environment, as pyproject.toml asks."""
    needed = re.search(r"setuptools>=(\d+)", (ROOT / "pyproject.toml").read_text()).group(1)
    try:
        return int(version("setuptools").split(".")[0]) >= int(needed)
    except PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built of a copy of the source, so that nothing is left in the source."""
    place = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, place / "source" / name, symlinks=True, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place / "source")
    isolation = ["--no-isolation"] if _setuptools_is_new_enough() else []
    command = [sys.executable, "-m", "build", "--wheel", *isolation, "-o", place, place / "source"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if not isolation and "No matching distribution found for setuptools" in said:
        pytest.skip("the build needs setuptools>=77, which is not installed and not to be had")
    assert done.returncode == 0, said
    (path,) = place.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def _sources():
    """Path in the wheel and in the source of each file that must be in it."""
    for name in FOLDERS:
        for path in (ROOT / name).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                inside = path.relative_to(ROOT).as_posix()
                yield inside if name == "xray_seg" else f"xray_seg/{inside}", path


def test_every_module_and_weight_file_is_in_the_wheel(wheel):
    sources = dict(_sources())
    assert {"xray_seg/cli/batch.py", "xray_seg/py.typed"} <= sources.keys()
    assert [name for name in sources if name.endswith("card.json")]
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == sources.keys()
    for name, path in sources.items():
        assert wheel.read(name) == path.read_bytes(), name


def test_the_wheel_holds_no_links(wheel):
    assert (ROOT / "xray_seg" / "cli").is_symlink()
    for member in wheel.infolist():
        assert not stat.S_ISLNK(member.external_attr >> 16), member.filename


def test_the_wheel_brings_one_package_and_one_command(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    (facts,) = tops - {"xray_seg"}
    assert facts.endswith(".dist-info")
    assert "xrayseg = xray_seg.cli:main" in wheel.read(f"{facts}/entry_points.txt").decode()
    metadata = wheel.read(f"{facts}/METADATA").decode()
    assert "License-Expression: Apache-2.0" in metadata
    assert f"{facts}/licenses/LICENSE" in wheel.namelist()


def test_the_package_in_the_wheel_runs_by_itself(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = (
        "import json, xray_seg, xray_seg.cli.batch\n"
        "from xray_seg.models.model_folder import load_model, shipped_models\n"
        "found = {name: str(load_model(name).folder) for name in shipped_models()}\n"
        "print(json.dumps([xray_seg.__file__, xray_seg.cli.batch.__file__, found]))\n"
    )
    # Without site packages' .pth files, so that an editable install does not come first.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *_site_packages()])}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    package, command, models = json.loads(done.stdout)
    assert Path(package) == tmp_path / "xray_seg" / "__init__.py"
    assert Path(command) == tmp_path / "xray_seg" / "cli" / "batch.py"
    assert models
    for name, folder in models.items():
        assert Path(folder) == tmp_path / "xray_seg" / "weights" / name


def _site_packages():
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


_CACHES = """
import json
import numba
from numba.core.dispatcher import Dispatcher
import xray_seg.kernels as kernels
from xray_seg.kernels import components, masks, overlay, resample, restore, warp
found = {
    name: str(value.stats.cache_path)
    for module in (components, masks, overlay, resample, restore, warp)
    for name, value in vars(module).items()
    if isinstance(value, Dispatcher)
}
print(json.dumps([found, numba.config.CACHE_DIR]))
"""


def _caches(**variables):
    """Cache folder of each kernel in a new process, and numba's own setting after."""
    env = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", _CACHES],
        env={**env, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_same_python_versions_are_claimed_and_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    claimed = [
        line.rpartition(" :: ")[2]
        for line in project["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", line)
    ]
    matrix = re.search(r"^MATRIX \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert claimed == matrix.split()
    assert project["requires-python"] == f">={claimed[0]}"


def test_the_citation_is_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text("utf-8").splitlines()
    assert f"version: {project['version']}" in citation
    assert f"license: {project['license']}" in citation


def test_kernels_are_cached_in_the_users_cache_directory(tmp_path):
    found, setting = _caches(XDG_CACHE_HOME=str(tmp_path))
    assert len(found) >= 6
    for cache in found.values():
        assert Path(cache).is_relative_to(tmp_path / "xray-seg")
    assert setting == ""


def test_a_cache_directory_that_the_user_set_for_numba_is_used(tmp_path):
    found, setting = _caches(XDG_CACHE_HOME=str(tmp_path / "no"), NUMBA_CACHE_DIR=str(tmp_path))
    assert len(found) >= 6
    for cache in found.values():
        assert Path(cache).is_relative_to(tmp_path)
    assert setting == str(tmp_path)
    assert not (tmp_path / "no").exists()
