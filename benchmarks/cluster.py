"""Compare batches on a Ray cluster with batches on one machine: lost nodes, S3, overhead.

    python benchmarks/cluster.py [folder|S3|overhead]...

Needs ``pip install '.[ray]'``; ``S3`` needs ``pip install '.[ray,s3]'``, then
``pip install 'moto[server]'`` with a boto3 that s3fs allows. Fails if outputs differ.
"""

from __future__ import annotations

import logging
import os
import shutil
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import click
import imagecodecs
import numpy as np
from runtimes import trained_network
from stubs import stub_segmenter

from xray_seg import Segmenter
from xray_seg.batch.executors import Executor
from xray_seg.batch.executors.ray_cluster import RayExecutor
from xray_seg.batch.executors.ray_cluster.nodes import connected
from xray_seg.batch.journal import Record
from xray_seg.batch.options import BatchOptions, Summary
from xray_seg.batch.run import run_batch
from xray_seg.bench.pipeline import StubEngine, write_raw_images
from xray_seg.data.phantom import make_phantom
from xray_seg.models.model_folder import load_model
from xray_seg.serving.export import export

PARTS = ("folder", "S3", "overhead")
#: Images of a batch in which a node is killed, and their side.
COUNT, SIDE = 500, 256
#: Images of 2048 x 2048 of a batch for the overhead, and batches of each kind.
OVERHEAD_COUNT, ROUNDS = 1500, 2
#: Weights, and the grid that they are used on: small, so that the cluster is what is measured.
WEIGHTS, SMALL_GRID = "inverted-net-128", 64
BUCKET = "images"


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
def main(parts: tuple[str, ...]) -> None:
    """Run PARTS, or all, and print rates."""
    parts = parts or PARTS
    with tempfile.TemporaryDirectory() as name:
        if sources := [part for part in parts if part != "overhead"]:
            _lose_nodes(Path(name), sources)
        if "overhead" in parts:
            _measure_overhead(Path(name))


def _lose_nodes(folder: Path, sources: list[str]) -> None:
    """Segment images on two nodes, kill one half-way, and compare outputs with one machine's."""
    from ray.cluster_utils import Cluster

    images, url = folder / "phantoms", f"s3://{BUCKET}/phantoms"
    images.mkdir()
    for number in range(COUNT):
        pixels = (make_phantom(number, SIDE).radiograph * 255).astype(np.uint8)
        (images / f"{number:03d}.png").write_bytes(imagecodecs.png_encode(pixels))
    if "S3" in sources:
        _start_store(images, f"{BUCKET}/phantoms")
    segmenter = Segmenter(_small_model(folder / "model"), engine="litert")
    alone = folder / "alone"
    _print_rate("one machine", run_batch([images], alone, segmenter=segmenter))
    node = {"num_cpus": 2, "object_store_memory": 400 * 2**20}
    for source in sources:
        cluster = Cluster(initialize_head=True, head_node_args=node)
        second = cluster.add_node(**node)
        keys: list[str] = []

        def on_progress(
            summary: Summary,
            record: Record | None,
            keys: list[str] = keys,
            cluster: Cluster = cluster,
            second: object = second,
        ) -> None:
            if record is not None:
                keys.append(record.key)
                if len(keys) == COUNT // 2:
                    cluster.remove_node(second, allow_graceful=False)

        out = folder / source
        with connected(cluster.address):
            summary = run_batch(
                [url if source == "S3" else images],
                out,
                segmenter=segmenter,
                executor=RayExecutor(),
                on_progress=on_progress,
            )
        cluster.shutdown()
        _check(len(keys) == len(set(keys)) == COUNT == summary.done, "records")
        found, expected = _files(out), _files(alone)
        differ = {name for name in found | expected if found.get(name) != expected.get(name)}
        _check(not differ, f"files {sorted(differ)}")
        rows = (out / "results.csv").read_text().replace(url, str(images))
        _check(rows == (alone / "results.csv").read_text(), "rows")
        _print_rate(f"two nodes, one killed half-way, images in {source}: all equal", summary)


def _small_model(folder: Path) -> Path:
    """Export the shipped weights for a small grid."""
    return export(trained_network(load_model(WEIGHTS), SMALL_GRID), folder, "small", {})


def _measure_overhead(folder: Path) -> None:
    """Run batches on one machine and on Ray in turns, with an engine that takes no time."""
    write_raw_images(folder / "images", OVERHEAD_COUNT)
    for save in (("labels",), ("labels", "overlay")):
        options = BatchOptions(save=save, report=len(save) > 1)
        rates: dict[str, list[float]] = {"one machine": [], "Ray": [], "Ray without its start": []}
        for _ in range(ROUNDS):
            alone, _, files = _timed_batch(folder, options, None)
            whole, steady, on_ray = _timed_batch(folder, options, RayExecutor())
            for rate, title in zip((alone, whole, steady), rates, strict=True):
                rates[title].append(rate)
            _check(files == on_ray, "files")
        print(f"stub engine, {', '.join(save)}, {OVERHEAD_COUNT} images", flush=True)
        ours = statistics.median(rates["one machine"])
        for title, found in rates.items():
            rate = statistics.median(found)
            print(f"  {title}: {rate:.1f} images/s, ratio {rate / ours:.2f}", flush=True)


def _timed_batch(
    folder: Path, options: BatchOptions, executor: Executor | None
) -> tuple[float, float, dict[str, bytes]]:
    """Run one batch; returns its rate, its rate after the first record, and its files."""
    records_at: list[float] = []

    def on_progress(summary: Summary, record: Record | None) -> None:
        if record is not None:
            records_at.append(time.perf_counter())

    out = folder / "out"
    with connected("local") if executor else nullcontext():
        began = time.perf_counter()
        summary = run_batch(
            [folder / "images"],
            out,
            segmenter=stub_segmenter(StubEngine(256)),
            options=options,
            executor=executor,
            on_progress=on_progress,
        )
        ended = time.perf_counter()
    _check(summary.done == OVERHEAD_COUNT, "images")
    files = _files(out)
    shutil.rmtree(out)
    steady = (OVERHEAD_COUNT - 1) / (ended - records_at[0])
    return OVERHEAD_COUNT / (ended - began), steady, files


def _files(out: Path) -> dict[str, bytes]:
    """Label maps and overlays, by path."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for kind in ("labels", "overlay")
        for path in (out / kind).rglob("*.*")
    }


def _check(equal: bool, what: str) -> None:
    """Raise RuntimeError if a result differs from that of one machine."""
    if not equal:
        raise RuntimeError(f"{what} differ from those of one machine")


def _print_rate(title: str, summary: Summary) -> None:
    rate = summary.done / summary.seconds
    print(f"{title}: {summary.done} in {summary.seconds:.1f} s, {rate:.1f} images/s", flush=True)


def _start_store(folder: Path, key: str) -> None:
    """Start an S3 server on this machine, and upload a folder."""
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "anyone",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    s3fs.S3FileSystem().mkdir(BUCKET)
    s3fs.S3FileSystem().put(str(folder), key, recursive=True)


if __name__ == "__main__":
    main()
