"""What is exported, and how little is loaded for it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

import xray_seg
from xray_seg.data.phantom import make_phantom

ROOT = Path(__file__).parents[1]
HEAVY = {"tensorflow", "keras", "numba", "scipy", "matplotlib"}


def _loaded(code, *args, cwd=None):
    """Top-level modules in a new process after the code has run, whatever way it ends."""
    script = (
        "import atexit, json, sys\n"
        "show = lambda: print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))\n"
        f"atexit.register(show)\n{code}"
    )
    command = [sys.executable, "-c", script, *map(str, args)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


_MAIN = "from xray_seg.cli import main\nmain(sys.argv[1:])"


def test_the_package_loads_nothing_heavy():
    loaded = _loaded("import xray_seg; dir(xray_seg)")
    assert "xray_seg" in loaded
    assert not loaded & (HEAVY | {"numpy"})


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], *([name, "--help"] for name in ("batch", "train", "info"))]
)
def test_help_loads_nothing_heavy(args):
    loaded = _loaded(_MAIN, *args)
    assert "click" in loaded
    assert not loaded & HEAVY


def test_one_film_on_the_cpu_loads_no_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    film = (make_phantom(1, 64).radiograph * 255).astype(np.uint8)
    (tmp_path / "film.png").write_bytes(imagecodecs.png_encode(film))
    loaded = _loaded(_MAIN, "batch", "film.png", "--out", "masks", "-q", cwd=tmp_path)
    assert (tmp_path / "masks" / "labels" / "film.tif").is_file()
    assert "ai_edge_litert" in loaded
    assert not loaded & {"tensorflow", "keras", "matplotlib", "jax"}


def test_the_second_process_compiles_no_kernel(tmp_path, monkeypatch):
    """It finds them in the cache: numba counts what it loads and what it has to compile."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    film = (make_phantom(1, 64).radiograph * 255).astype(np.uint8)
    (tmp_path / "film.png").write_bytes(imagecodecs.png_encode(film))
    code = (
        "import importlib, json, pkgutil, sys, xray_seg, xray_seg.kernels\n"
        "xray_seg.Segmenter()(xray_seg.read(sys.argv[1])).overlay(measurements=True)\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "found = [each for module in pkgutil.iter_modules(xray_seg.kernels.__path__)\n"
        "         for each in vars(importlib.import_module('xray_seg.kernels.' + module.name))\n"
        "         .values() if isinstance(each, Dispatcher)]\n"
        "print(json.dumps([sum(sum(getattr(each.stats, kind).values()) for each in found)\n"
        "                  for kind in ('cache_hits', 'cache_misses')]))"
    )
    counts = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "film.png")],
            capture_output=True,
            text=True,
            check=True,
        )
        counts.append(json.loads(done.stdout.splitlines()[-1]))
    assert counts[0][1] > 5
    assert counts[1] == [counts[1][0], 0]
    assert counts[1][0] > 5


def test_every_exported_name_resolves():
    for name in xray_seg.__all__:
        assert getattr(xray_seg, name) is not None
    assert len(set(xray_seg.__all__)) == len(xray_seg.__all__)


def test_all_is_what_the_package_exports():
    tree = ast.parse((ROOT / "xray_seg" / "__init__.py").read_text("utf-8"))
    imported = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert set(xray_seg.__all__) == imported | {"__version__"}
    assert set(xray_seg.__all__) == set(dir(xray_seg))


def test_the_namespace_holds_what_all_names_and_nothing_else():
    """In a new process, with every name resolved; submodules are modules, not exports."""
    code = (
        "import json, types, xray_seg\n"
        "[getattr(xray_seg, name) for name in xray_seg.__all__]\n"
        "found = [name for name, value in vars(xray_seg).items()\n"
        "         if not name.startswith('_') and not isinstance(value, types.ModuleType)]\n"
        "print(json.dumps(sorted([*found, '__version__'])))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == sorted(xray_seg.__all__)


def test_exports_are_the_objects_of_their_modules():
    from xray_seg import labels, readers, segmenter

    assert xray_seg.Segmenter is segmenter.Segmenter
    assert xray_seg.read is readers.read
    assert xray_seg.ORGANS == (labels.CLAVICLES, labels.HEART, labels.LUNGS)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"xray_seg.*nonsense"):
        xray_seg.nonsense  # noqa: B018
    assert not hasattr(xray_seg, "tensorflow")


def _imports(path):
    """(level, module) of each import of a file, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""
        elif isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)


def test_kernels_import_nothing_of_ours_nor_any_network():
    paths = sorted((ROOT / "kernels").glob("*.py"))
    assert len(paths) > 5
    for path in paths:
        for level, module in _imports(path):
            assert level <= 1, path
            top = module.split(".")[0]
            assert level or top in {"numba", "numpy", "platformdirs", *sys.stdlib_module_names}


def test_the_library_does_not_import_its_command_line():
    paths = [path for path in (ROOT / "xray_seg").rglob("*.py") if "cli" not in path.parts]
    assert len(paths) > 20
    for path in paths:
        for level, module in _imports(path):
            assert "cli" not in module.split("."), path
            assert level or module.split(".")[0] not in {"kernels", "weights", "click", "rich"}
