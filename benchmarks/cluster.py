"""A Ray cluster beside one machine: what a dead node costs, an object store, the overhead.

``python benchmarks/cluster.py [folder|S3|overhead]...``; needs
``pip install '.[ray,s3]'``, then
``pip install 'moto[server]'`` with a boto3 that s3fs allows.
"""

from __future__ import annotations

import logging
import os
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imagecodecs
import numpy as np

from xray_seg import Segmenter
from xray_seg._util.tensorflow import keras
from xray_seg.batch.executors.ray_cluster import on_cluster
from xray_seg.batch.executors.ray_cluster.nodes import connected
from xray_seg.batch.options import BatchOptions, Summary
from xray_seg.batch.run import run
from xray_seg.bench.pipeline import StubEngine, make_films
from xray_seg.data.phantom import make_phantom
from xray_seg.models.model_folder import load_model, read_variables
from xray_seg.models.network import build_network, weights_of
from xray_seg.serving.export import export

COUNT, SIDE = 500, 256
WEIGHTS = "inverted-net-128"
#: Films of 2048 x 2048 for the overhead, and how often they are done each way.
FILMS, TURNS = 1500, 2


def main() -> None:
    """Print what was found; fails where outputs differ."""
    asked = sys.argv[1:] or ["folder", "S3", "overhead"]
    with tempfile.TemporaryDirectory() as name:
        if set(asked) - {"overhead"}:
            _start_store()
            _deaths(Path(name), [each for each in asked if each != "overhead"])
        if "overhead" in asked:
            _overhead(Path(name))


def _deaths(place: Path, sources: list[str]) -> None:
    import s3fs
    from ray.cluster_utils import Cluster

    films = place / "phantoms"
    films.mkdir()
    for number in range(COUNT):
        film = (make_phantom(number, SIDE).radiograph * 255).astype(np.uint8)
        (films / f"{number:03d}.png").write_bytes(imagecodecs.png_encode(film))
    s3fs.S3FileSystem().put(str(films), "films/phantoms", recursive=True)
    segmenter = Segmenter(_small_model(place / "model"), "litert")
    options = BatchOptions()
    alone = run([str(films)], place / "alone", segmenter, options)
    _say("one machine", alone)
    node = {"num_cpus": 2, "object_store_memory": 400 * 2**20}
    for title in sources:
        source = "s3://films/phantoms" if title == "S3" else str(films)
        cluster = Cluster(initialize_head=True, head_node_args=node)
        other = cluster.add_node(**node)
        told: list[str] = []

        def tell(
            record: Any,
            summary: Summary,
            told: list[str] = told,
            cluster: Any = cluster,
            other: Any = other,
        ) -> None:
            told.append(record.key)
            if len(told) == COUNT // 2:
                cluster.remove_node(other, allow_graceful=False)

        with connected(cluster.address):
            out = place / title
            begin = lambda total, tell=tell: nullcontext(tell)  # noqa: E731
            summary = run([source], out, segmenter, options, None, begin, on_cluster())
        cluster.shutdown()
        lines = (out / "results.csv").read_text().replace("s3://films/phantoms", str(films))
        _hold(len(told) == len(set(told)) == COUNT == summary.done, "each film once")
        found, expected = _files(out), _files(place / "alone")
        differ = {name for name in found | expected if found.get(name) != expected.get(name)}
        _hold(not differ, f"the files {sorted(differ)}")
        _hold(lines == (place / "alone" / "results.csv").read_text(), "the rows")
        _say(f"two nodes, one killed half-way, films in {title}: all equal", summary)


def _small_model(folder: Path) -> Path:
    """The shipped weights on a grid of 64, so that the cluster is what is measured."""
    keras()
    model = build_network("inverted-net", 64)
    for variable, value in zip(weights_of(model), read_variables(load_model(WEIGHTS)), strict=True):
        variable.assign(value)
    return export(model, folder, "small", {})


def _overhead(place: Path) -> None:
    """Threads or processes of one machine and Ray in turns, with an engine that costs nothing."""
    make_films(place / "films", FILMS)
    stub: Any = SimpleNamespace(
        engine=StubEngine(256), model=SimpleNamespace(sha256="0" * 64, name="stub")
    )
    for save in (("labels",), ("labels", "overlay")):
        options = BatchOptions(save=save, report=len(save) > 1)
        rates: dict[str, list[float]] = {"one machine": [], "Ray": [], "Ray, once it runs": []}
        for _ in range(TURNS):
            outputs = []
            for title, stages in (("one machine", None), ("Ray", on_cluster(_stub))):
                out = place / title
                with nullcontext() if stages is None else connected("local"):
                    first: list[float] = []
                    begin = _noting(first)
                    began = time.perf_counter()
                    summary = run([str(place / "films")], out, stub, options, None, begin, stages)
                    ended = time.perf_counter()
                _hold(summary.done == FILMS, "the films")
                rates[title].append(FILMS / (ended - began))
                if stages:
                    rates["Ray, once it runs"].append((FILMS - 1) / (ended - first[0]))
                outputs.append(_files(out))
                shutil.rmtree(out)
            _hold(outputs[0] == outputs[1], "the files")
        print(f"stub engine, {', '.join(save)}, {FILMS} films", flush=True)
        ours = statistics.median(rates["one machine"])
        for title, found in rates.items():
            rate = statistics.median(found)
            print(f"  {title}: {rate:.1f}/s, ratio {rate / ours:.2f}", flush=True)


def _stub() -> StubEngine:
    return StubEngine(256)


def _noting(first: list[float]) -> Any:
    """For run(): when the first record came."""

    def tell(record: Any, summary: Summary) -> None:
        if not first:
            first.append(time.perf_counter())

    return lambda total: nullcontext(tell)


def _files(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for kind in ("labels", "overlay")
        for path in (out / kind).rglob("*.*")
    }


def _hold(equal: bool, what: str) -> None:
    if not equal:
        raise RuntimeError(f"{what}: not as on one machine")


def _say(title: str, summary: Summary) -> None:
    rate = summary.done / summary.seconds
    print(f"{title}: {summary.done} in {summary.seconds:.1f} s, {rate:.1f}/s", flush=True)


def _start_store() -> None:
    """Be an S3 of this machine with a bucket ``films``."""
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
    s3fs.S3FileSystem().mkdir("films")


if __name__ == "__main__":
    main()
