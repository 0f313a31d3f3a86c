"""Export of a trained Keras model to a model folder: SavedModel, LiteRT flatbuffer, model card."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._util.files import TEMPORARY_PREFIX
from .._util.tensorflow import tensorflow
from ..errors import WeightsError
from ..models.model_folder import (
    LITERT_FILE,
    SAVED_MODEL_FOLDER,
    VARIABLES_ATTRIBUTE,
    write_card,
)
from ..models.network import weights_of
from .network_graph import serving_graph
from .signatures import file_signatures

if TYPE_CHECKING:
    from keras import Model

#: Signatures of the SavedModel that map grids to probabilities, named by their precision.
PRECISIONS = ("float32", "bfloat16", "float16")


def export(model: Model, folder: str | Path, name: str, facts: dict[str, Any]) -> Path:
    """Write a model folder that the inference engines load.

    The folder contains ``saved_model/`` (one signature per precision and one per file format, all
    on one set of variables), ``dynamic_int8.tflite`` and ``card.json``. It is written under a
    temporary name, so that an interrupted export leaves no incomplete folder.

    Args:
        model: a trained network, built at any precision; its variables are float32.
        folder: path of the folder, which must not exist.
        name: name of the weights.
        facts: further entries of ``card.json``: training configuration, data, metrics, licence.

    Returns:
        The path of the folder.

    Raises:
        WeightsError: the folder exists.
    """
    folder = Path(folder)
    if folder.exists():
        raise WeightsError(f"{folder}: exists already; remove it or export to another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=TEMPORARY_PREFIX) as temporary:
        unfinished = Path(temporary) / folder.name
        unfinished.mkdir()
        _write_saved_model(model, unfinished / SAVED_MODEL_FOLDER)
        (unfinished / LITERT_FILE).write_bytes(_to_litert(unfinished / SAVED_MODEL_FOLDER))
        own = {"name": name, "network": model.name, "size": model.input_shape[1]}
        write_card(unfinished, own | facts)
        unfinished.rename(folder)
    return folder


def _write_saved_model(model: Model, folder: Path) -> None:
    """Write the SavedModel with all signatures."""
    tf = tensorflow()
    module = tf.Module()
    setattr(module, VARIABLES_ATTRIBUTE, [variable.value for variable in weights_of(model)])
    size = model.input_shape[1]
    spec = tf.TensorSpec((None, size, size, 1), tf.float32, "images")
    signatures = {}
    for precision in PRECISIONS:
        graph = serving_graph(model, precision)

        def serve(images: Any, graph: Any = graph) -> dict[str, Any]:
            return {"probabilities": graph(images)}

        signatures[precision] = tf.function(serve, input_signature=[spec], autograph=False)
    signatures |= file_signatures(serving_graph(model, "float32"), size)
    tf.saved_model.save(module, str(folder), signatures=signatures)
    shutil.rmtree(folder / "assets", ignore_errors=True)


def _to_litert(saved_model: Path) -> bytes:
    """Convert to LiteRT with dynamic-range quantisation: int8 weights, no calibration data."""
    tf = tensorflow()
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=["float32"]
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())
