"""Compare precisions by speed and by accuracy on validation radiographs with true masks.

python benchmarks/precisions.py --images IMAGES --masks MASKS
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from xray_seg._util.concurrency import available_cores
from xray_seg._util.tensorflow import stderr_held_back, tensorflow
from xray_seg.bench import take_turns
from xray_seg.bench.inference import ENGINE_PRECISIONS
from xray_seg.data.cases import find_cases, read_truth
from xray_seg.evaluation.metrics import jaccard
from xray_seg.labels import ORGANS
from xray_seg.models.engines import open_engine
from xray_seg.models.model_folder import Model, load_model
from xray_seg.postprocessing.prediction import GridPrediction
from xray_seg.postprocessing.restore import restore
from xray_seg.preprocessing.preprocessor import ModelInput, Preprocessor
from xray_seg.readers import read

Grids = npt.NDArray[np.float32]
Predict = Callable[[Grids], Grids]

#: Every n-th training radiograph is used for calibration.
_STEP = 6
#: Operations whose rounding shows in the probabilities directly.
_SENSITIVE = ("SOFTMAX", "CONCATENATION")
#: Title of the rate that the others are relative to.
_REFERENCE = "saved-model float32"


@click.command()
@click.option("--images", type=click.Path(path_type=Path), required=True, help="Radiographs.")
@click.option("--masks", type=click.Path(path_type=Path), required=True, help="SCR masks.")
@click.option("--weights", default=None, help="Shipped weights or a model folder.")
@click.option("--repeats", default=7, show_default=True)
def main(images: Path, masks: Path, weights: str | None, repeats: int) -> None:
    """Print a Markdown table: rate relative to float32, and Jaccard on validation radiographs."""
    model = load_model(weights)
    cases = {case.name: case for case in find_cases(images, masks)}
    parts = {
        part: [cases[name] for name in model.card["split"][part] if name in cases]
        for part in ("train", "validation")
    }
    calibration = [
        Preprocessor(model.size)(read(case.image)).grid for case in parts["train"][::_STEP]
    ]
    variants: dict[str, Predict] = {
        f"{name} {precision}": open_engine(model, name, precision=precision, device="cpu").predict
        for name, precision in ENGINE_PRECISIONS
    }
    sensitive = " and ".join(_SENSITIVE).lower()
    for title, excluded in (
        ("litert calibrated int8", ()),
        (f"litert calibrated int8, {sensitive} in float32", _SENSITIVE),
    ):
        variants[title] = _calibrated(model, calibration, excluded)
    batch = np.stack(calibration[:2])
    times = take_turns({title: partial(f, batch) for title, f in variants.items()}, repeats)
    rates = {title: 1 / np.median(seconds) for title, seconds in times.items()}
    preprocess = Preprocessor(model.size)
    truths = [(preprocess(read(case.image)), read_truth(case)) for case in parts["validation"]]
    click.echo(f"{model.name}, {len(truths)} cases\n")
    click.echo("| precision | rate | " + " | ".join(organ.name for organ in ORGANS) + " |")
    click.echo("| --- |" + " --- |" * (1 + len(ORGANS)))
    for title, predict in variants.items():
        scores = " | ".join(f"{score:.4f}" for score in _jaccard(predict, truths))
        click.echo(f"| {title} | {rates[title] / rates[_REFERENCE]:.2f} | {scores} |")


def _jaccard(
    predict: Predict, truths: list[tuple[ModelInput, npt.NDArray[np.uint8]]]
) -> npt.NDArray[np.float64]:
    """Mean Jaccard of each organ, at the resolution of the true masks."""
    rows = []
    for model_input, truth in truths:
        inside = GridPrediction.inside(model_input.box, predict(model_input.grid[None])[0])
        labels, _ = restore(inside, (truth.shape[0], truth.shape[1]))
        rows.append([jaccard(labels == organ.label, truth == organ.label) for organ in ORGANS])
    return np.mean(rows, axis=0)


def _calibrated(model: Model, grids: list[Grids], excluded: tuple[str, ...]) -> Predict:
    """LiteRT with weights and activations in int8, by their ranges on calibration grids.

    Args:
        model: the model folder.
        grids: (S, S) float32 grids for calibration.
        excluded: operations that stay in float32.
    """
    from ai_edge_litert.interpreter import Interpreter

    tf = tensorflow()

    def samples() -> Iterator[list[Grids]]:
        for grid in grids:
            yield [grid[None, ..., None]]

    with stderr_held_back():
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(model.folder / "saved_model"), signature_keys=["float32"]
        )
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        if excluded:
            debugger = tf.lite.experimental.QuantizationDebugger(
                converter=converter,
                debug_dataset=samples,
                debug_options=tf.lite.experimental.QuantizationDebugOptions(
                    denylisted_ops=list(excluded)
                ),
            )
            content = debugger.get_nondebug_quantized_model()
        else:
            content = converter.convert()
        interpreter = Interpreter(model_content=content, num_threads=available_cores())
        interpreter.allocate_tensors()
        source = interpreter.get_input_details()[0]["index"]
        target = interpreter.get_output_details()[0]["index"]

    def predict(batch: Grids) -> Grids:
        shape = (*batch.shape, 1)
        if tuple(interpreter.get_input_details()[0]["shape"]) != shape:
            interpreter.resize_tensor_input(source, shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(source, batch[..., None])
        interpreter.invoke()
        return np.array(interpreter.get_tensor(target))

    return predict


if __name__ == "__main__":
    main()
