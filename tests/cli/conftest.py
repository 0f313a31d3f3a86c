"""Fixtures of the tests of commands."""

import pytest

from xray_seg.cli import main


@pytest.fixture
def xrayseg(capfd, tmp_path, monkeypatch):
    """Run a command line; return its exit status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XRAYSEG_WEIGHTS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def run(*args):
        with pytest.raises(SystemExit) as stop:
            main([str(arg) for arg in args])
        return (stop.value.code, *capfd.readouterr())

    return run
