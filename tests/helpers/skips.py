"""The skips that are expected, and the hooks that fail a session with any other.

A skipped test says nothing, so what may be missing is listed here. The extra ``dev`` brings all
else: a test that needs it imports it, and fails without it.
"""

import platform
import re
from collections.abc import Generator
from typing import Any

import pytest

NO_DATA = r"no real radiographs: .* has no images and scr; set XRAYSEG_JSRT"
_NO_TORCH = r"(could not import 'torch'|torch is not installed)"
_OLD_KERAS = r"the extra `devices` asks for a later Keras"
_NO_MOUNT = r"no file system can be mounted here"

#: Files of tests below ``tests/``, and reasons for which a test in them may be skipped.
EXPECTED: tuple[tuple[str, str], ...] = (
    # Radiographs of people are not part of the project.
    ("analysis/test_plausibility.py", NO_DATA),
    ("data/test_arrays.py", NO_DATA),
    ("data/test_clinical.py", NO_DATA),
    ("data/test_clinical.py", r"the clinical tables are not there"),
    ("data/test_splits.py", NO_DATA),
    ("postprocessing/test_cleanup.py", NO_DATA),
    ("postprocessing/test_laterality.py", NO_DATA),
    ("postprocessing/test_whole_lungs.py", NO_DATA),
    ("serving/test_signatures.py", NO_DATA),
    ("test_radiograph.py", NO_DATA),
    # A browser is no Python package.
    ("batch/test_report.py", r"no /usr/bin/chromium"),
    # PyTorch is one of several backends and sources of arrays; the package never needs it.
    ("test_sources.py", _NO_TORCH),
    ("training/test_backends.py", _NO_TORCH),
    # `make test-lowest` has the lowest Keras of the package, not that of the extra `devices`.
    ("training/test_devices.py", _OLD_KERAS),
    ("training/test_hosts.py", _OLD_KERAS),
    # Other processors are emulated, by a program that is no Python package.
    ("models/test_engines.py", r"needs qemu-user"),
    # Mounting and giving files away need root; leases and wait channels, the system's support.
    ("batch/test_faults.py", _NO_MOUNT),
    ("kernels/test_cache.py", r"only root can give a folder to another user"),
    ("batch/test_processes.py", r"this file system has no leases"),
    ("batch/test_watchdog.py", r"this file system has no leases"),
    ("batch/test_watchdog.py", r"this system does not say where processes wait"),
    # Without a network, pip cannot fetch what builds the wheel.
    ("test_packaging.py", r"the build needs setuptools>=77, which is not installed"),
)
#: The same for systems other than Linux on x86-64.
ELSEWHERE: tuple[tuple[str, str], ...] = (
    ("_util/test_processor.py", r"Linux lists them"),
    ("batch/test_instruction_sets.py", r"names of x86-64 processors"),
    ("batch/test_pipeline.py", r"threads have priorities of their own on Linux"),
    ("batch/test_processes.py", r"processes are for Linux"),
    ("batch/test_watchdog.py", r"processes are for Linux"),
)

_SEEN = pytest.StashKey[list[tuple[str, str]]]()
_WORKER_KEY = "skips"


def unexpected(skips: list[tuple[str, str]]) -> list[str]:
    """A line for each skip that is not listed.

    Args:
        skips: node id and reason of each; the node id of a whole file is its path.
    """
    usual = platform.system() == "Linux" and platform.machine() == "x86_64"
    listed = EXPECTED if usual else EXPECTED + ELSEWHERE
    lines = []
    for node, reason in skips:
        file, _, test = node.partition("::")
        name = file.partition("tests/")[2]
        if not test:
            lines.append(f"{node}: skipped as a whole: {reason}")
        elif not any(name == each and re.match(words, reason) for each, words in listed):
            lines.append(f"{node}: {reason}")
    return sorted(set(lines))


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SEEN] = []


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Note files that are skipped as a whole; they have no tests that could be reported."""
    report: Any = yield
    if report.skipped:
        collector.config.stash[_SEEN].append((report.nodeid, _reason(report)))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Note skipped tests; an expected failure is reported as a skip, but is none."""
    report: Any = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        item.config.stash[_SEEN].append((report.nodeid, _reason(report)))
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist has noted."""
    skips = getattr(node, "workeroutput", {}).get(_WORKER_KEY, [])
    node.config.stash[_SEEN].extend(tuple(each) for each in skips)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session, or hand the skips to the process that collects those of all workers."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput[_WORKER_KEY] = config.stash[_SEEN]
    elif unexpected(config.stash[_SEEN]) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Name the skips that are not listed."""
    if lines := unexpected(config.stash[_SEEN]):
        terminalreporter.section("skips that are not expected", red=True)
        for line in lines:
            terminalreporter.line(line)
        terminalreporter.line("Install what is missing, or list the skip in tests/helpers/skips.py")
