"""What is installed and what runs here."""

import json
import platform
from importlib.metadata import PackageNotFoundError, requires

import numpy
import pytest
import scipy
import tifffile

import xray_seg
from xray_seg._util import environment
from xray_seg.cli import main
from xray_seg.errors import EngineError, WeightsError
from xray_seg.models import engines
from xray_seg.models.engines import devices
from xray_seg.models.model_folder import shipped_models


@pytest.fixture
def stub_engines(monkeypatch):
    """Engines that answer at once, but for those that are asked to fail."""
    broken = {}

    class Engine:
        precision, device = "float32", "cpu"

        def predict(self, grids):
            assert grids.shape[0] == 1

    def open_engine(model, name):
        if name in broken:
            raise EngineError(broken[name])
        return Engine()

    monkeypatch.setattr(devices, "devices", lambda: {"machine": "m", "cores": 2, "gpus": 0})
    monkeypatch.setattr(engines, "open_engine", open_engine)
    return broken


def _info(capsys, *args):
    with pytest.raises(SystemExit) as stop:
        main(["info", *args])
    return stop.value.code, capsys.readouterr().out


def test_versions_are_those_that_are_imported():
    found = environment.versions()
    assert found["xray-seg"] == xray_seg.__version__
    assert found["python"] == platform.python_version()
    for module in (numpy, scipy, tifffile):
        assert found[module.__name__] == module.__version__


def test_a_package_that_is_missing_is_said_to_be(monkeypatch):
    def version(package):
        if package == "tensorflow":
            raise PackageNotFoundError
        return "1.0"

    monkeypatch.setattr(environment, "version", version)
    found = environment.versions()
    assert found.pop("tensorflow") == "not installed"
    assert found["keras"] == "1.0"


def test_info_reports_versions_devices_and_each_engine(stub_engines, capsys):
    status, out = _info(capsys, "--json")
    facts = json.loads(out)
    assert status == 0
    assert facts["versions"] == environment.versions()
    assert facts["devices"] == {"machine": "m", "cores": 2, "gpus": 0}
    assert list(facts["weights"]) == shipped_models()
    for weights in facts["weights"].values():
        assert len(weights["sha256"]) == 64
        assert weights["litert"] == weights["saved-model"] == "runs in float32 on cpu"


def test_an_engine_that_does_not_run_is_named_and_the_status_is_1(stub_engines, capsys):
    stub_engines["saved-model"] = "TensorFlow has no such GPU"
    status, out = _info(capsys, "--json")
    assert status == 1
    for weights in json.loads(out)["weights"].values():
        assert weights["saved-model error"] == "TensorFlow has no such GPU"
        assert "litert" in weights


def test_altered_weights_are_named_and_the_status_is_1(stub_engines, capsys, monkeypatch):
    def load_model(name):
        raise WeightsError(f"{name}: altered")

    monkeypatch.setattr("xray_seg.models.model_folder.load_model", load_model)
    status, out = _info(capsys, "--json")
    assert status == 1
    weights = json.loads(out)["weights"]
    assert weights == {name: {"error": f"{name}: altered"} for name in shipped_models()}


def test_info_is_shown_as_tables(stub_engines, capsys):
    status, out = _info(capsys)
    assert status == 0
    for word in ("versions", "devices", numpy.__version__, *shipped_models()):
        assert word in out


def test_components_are_a_bill_of_materials(stub_engines, capsys):
    code, out = _info(capsys, "--json")
    assert code == 0
    parts = json.loads(out)["components"]
    assert parts == environment.components()
    assert parts[0]["name"] == "xray-seg"
    assert parts[0]["licence"] == "Apache-2.0"
    names = [part["name"] for part in parts]
    assert names[1:] == sorted(set(names[1:]))
    by_name = {part["name"]: part for part in parts}
    assert by_name["numpy"]["version"] == numpy.__version__
    assert "BSD" in by_name["numpy"]["licence"]
    assert by_name["numpy"]["optional"] is False
    optional = {part["name"] for part in parts if part["optional"]}
    assert "pydicom" in optional or not any("pydicom" in each for each in requires("xray-seg"))
    assert "llvmlite" in by_name  # numba's
    assert "pytest" not in by_name
    assert all(part["licence"] and "\n" not in part["licence"] for part in parts)


def test_requirements_are_read_with_their_markers_and_extras():
    class Package:
        requires = (
            "Plain_Name>=1; python_version > '3'",
            "elsewhere; sys_platform == 'nowhere'",
            "for-an-extra[more]; extra == 'parquet' and python_version > '3'",
            "for-another; extra == 'dev'",
            "not a requirement ===",
        )

    assert [*environment._required(Package, ("parquet",))] == [
        ("plain-name", False),
        ("for-an-extra", True),
    ]
    assert [*environment._required(Package, ())] == [("plain-name", False)]
