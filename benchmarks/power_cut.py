"""Cut the power of a file system under a batch, and see what is left on its disk.

    sudo python benchmarks/power_cut.py --images 600 --cuts 12 [--unsynced]

The output folder is on an ext4 file system in a file, mounted by a loop device. What a power cut
would leave is what has reached that file, not what the system still holds in memory: the file is
copied while the batch is stopped, at random moments and right after it has ended. Each copy is
checked, mounted and compared with an undisturbed run, and the batch is continued in it. The file
system commits by itself only every 600 s, so that what a batch does not flush stays in memory.

The exit status is 1 if anything is lost after the end of a batch, or a continued batch differs
from the undisturbed one. ``--unsynced`` takes the flushes out of the batch; with it, images must
be lost, or this program would see nothing. Linux, root, mkfs.ext4. Prints counts as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from kills import contents, finished, segment, wait_for_lines, write_images

from xray_seg._util import files
from xray_seg.batch import run
from xray_seg.batch.executors import ThreadExecutor
from xray_seg.batch.results import folder_sink
from xray_seg.batch.verify import verify

_DISK_BYTES = 256 << 20
#: Seconds until the file system commits by itself, longer than any run here.
_LATE_S = 600


def make_disk(image: Path) -> None:
    """Make an empty ext4 file system in a file."""
    with image.open("wb") as file:
        file.truncate(_DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)  # noqa: S607


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """Mount the file system in a file at a folder within the block."""
    place.mkdir(exist_ok=True)
    options = f"loop,commit={_LATE_S}"
    subprocess.run(["mount", "-o", options, image, place], check=True)  # noqa: S607
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)  # noqa: S607


def copy_as_it_is(image: Path, copy: Path) -> None:
    """Copy a file that nothing writes to; if something did meanwhile, copy it again."""
    while True:
        before = image.stat().st_mtime_ns
        shutil.copyfile(image, copy)
        if image.stat().st_mtime_ns == before:
            return
        time.sleep(0.05)


def run_and_cut(images: Path, image: Path, copy: Path, lines: int | None, synced: bool) -> None:
    """Run a batch and copy its disk at some number of finished images; None for its end."""
    make_disk(image)
    with mounted(image, image.with_suffix(".mnt")) as place:
        out = place / "out"
        child = os.fork()
        if child == 0:
            if not synced:
                _leave_flushes_out()
            segment(images, out, ThreadExecutor())
            os._exit(0)
        if lines is not None:
            wait_for_lines(out, lines, child)
            os.kill(child, signal.SIGSTOP)
            time.sleep(0.2)  # a flush that is under way in the system ends
            copy_as_it_is(image, copy)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        _, status = os.waitpid(child, 0)
        copy_as_it_is(image, copy)
        if status:
            raise SystemExit(f"the batch ended with {status}")


def _nothing(*_: object) -> None:
    """Flush nothing."""


def _leave_flushes_out() -> None:
    """Let this process flush nothing any more."""
    mock.patch.object(os, "fsync", _nothing).start()
    for module in (files, folder_sink, run):
        mock.patch.object(module, "sync_filesystem", _nothing).start()


def inspect(images: Path, copy: Path, expected: dict[str, bytes], ended: bool) -> dict[str, int]:
    """Count what a copy lacks, and what it still lacks once the batch was continued in it."""
    check = subprocess.run(["e2fsck", "-fp", copy], capture_output=True, check=False)  # noqa: S607
    with mounted(copy, copy.with_suffix(".mnt")) as place:
        out = place / "out"
        found = contents(out) if out.is_dir() else {}
        listed = finished(out) if out.is_dir() else set()
        masks = {f"labels/{key}.tif" for key in listed}
        report = {
            "file_systems_damaged": int(check.returncode > 1),
            "images_in_the_journal": len(listed),
            "of_these_lost": sum(found.get(name) != expected[name] for name in masks),
        }
        if ended:
            problems = verify(out).problems if listed else ["no journal"]
            report["after_the_end_problems_of_verify"] = len(problems)
            report["after_the_end_files_lost"] = sum(
                found.get(name) != data for name, data in expected.items()
            )
        segment(images, out, ThreadExecutor())
        again = contents(out)
        report["continued_different_files"] = sum(
            expected.get(name) != again.get(name) for name in expected.keys() | again.keys()
        )
        report["continued_problems_of_verify"] = len(verify(out).problems)
    return report


def cut_repeatedly(folder: Path, count: int, cuts: int, synced: bool) -> dict[str, int]:
    """Cut at random moments and at the end; returns the sums of all counts."""
    chance = random.Random(1)  # noqa: S311 - the same moments each time
    images = folder / "images"
    write_images(images, count)
    disk, copy = folder / "disk.img", folder / "cut.img"
    make_disk(disk)
    with mounted(disk, folder / "disk.mnt") as place:
        # The output folder has the same path in every run, so that results name the same files.
        segment(images, place / "out", ThreadExecutor())
        expected = contents(place / "out")
    moments = [int(chance.uniform(0, count)) for _ in range(cuts)]
    total: dict[str, int] = {"cuts": cuts, "ends": 1, "files": len(expected)}
    for lines in [*moments, None]:
        run_and_cut(images, disk, copy, lines, synced)
        for name, value in inspect(images, copy, expected, lines is None).items():
            total[name] = total.get(name, 0) + value
    return total


def main() -> None:
    """Parse the command line, cut, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=600, help="number of images")
    parser.add_argument("--cuts", type=int, default=12, help="number of cuts before the end")
    parser.add_argument("--unsynced", action="store_true", help="leave the flushes out")
    given = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("mounting needs root")
    with tempfile.TemporaryDirectory() as folder:
        report = cut_repeatedly(Path(folder), given.images, given.cuts, not given.unsynced)
    print(json.dumps(report))
    wrong = ("after_the_end", "continued", "file_systems_damaged")
    sys.exit(1 if any(report[name] for name in report if name.startswith(wrong)) else 0)


if __name__ == "__main__":
    main()
