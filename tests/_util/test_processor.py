"""The processor: its features as the operating system lists them, and their class."""

import platform
from dataclasses import replace
from pathlib import Path

import pytest

from xray_seg._util.processor import Processor, instruction_set_of, this_processor

#: Names of features in LLVM and in Linux.
_LINUX = {
    "sse4.1": "sse4_1",
    "avx2": "avx2",
    "fma": "fma",
    "avxvnni": "avx_vnni",
    "avx512f": "avx512f",
    "avx512vnni": "avx512_vnni",
    "avx512bf16": "avx512_bf16",
    "amx-int8": "amx_int8",
    "amx-bf16": "amx_bf16",
}


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() != "x86_64", reason="Linux lists them"
)
def test_features_and_name_are_those_that_linux_lists():
    lines = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if ":" in line
    )
    flags = set(lines["flags"].split())
    found = this_processor()
    assert set(found.features) == {name for name, linux in _LINUX.items() if linux in flags}
    assert found.model == lines["model name"]
    assert found.machine == "x86_64"
    assert found.c_library


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (["sse4.1", "avx2", "fma", "avx512f", "avx512vnni", "amx-int8"], "amx"),
        (["sse4.1", "avx2", "fma", "avx512f", "avx512vnni", "avx512bf16"], "avx512-vnni"),
        (["sse4.1", "avx2", "fma", "avx512f"], "avx512"),
        (["sse4.1", "avx2", "fma", "avxvnni"], "avx2-vnni"),
        (["sse4.1", "avx2", "fma"], "avx2"),
        (["sse4.1", "avx2"], "sse4"),
        ([], "x86_64"),
    ],
)
def test_class_of_instruction_sets(features, expected):
    assert instruction_set_of(features, "x86_64") == expected


@pytest.mark.parametrize(
    ("features", "expected"),
    [(["neon"], "neon"), (["neon", "dotprod"], "neon-dotprod"), (["neon", "i8mm"], "neon-i8mm")],
)
def test_class_of_instruction_sets_of_arm(features, expected):
    assert instruction_set_of(features, "aarch64") == expected


def test_deterministic_results_depend_on_architecture_and_c_library_only():
    here = Processor("a", "x86_64", "avx2", ("avx2", "fma"), "glibc 2.36")
    newer = replace(here, model="b", instruction_set="amx", features=("amx-int8",))
    other = replace(here, c_library="glibc 2.41")

    def answers(deterministic):
        return [
            each.results_depend_on(deterministic=deterministic) for each in (here, newer, other)
        ]

    assert answers(False) == ["avx2", "amx", "avx2"]
    assert answers(True) == ["x86_64, glibc 2.36", "x86_64, glibc 2.36", "x86_64, glibc 2.41"]
