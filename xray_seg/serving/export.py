"""From a trained Keras model to what is shipped: SavedModel, LiteRT flatbuffer, card."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._util.files import TEMPORARY_PREFIX
from .._util.tensorflow import keras, tensorflow
from ..errors import WeightsError
from ..models.model_folder import (
    LITERT_FILE,
    SAVED_MODEL_FOLDER,
    load_model,
    read_variables,
    write_card,
)
from ..models.network import build_network, weights_of
from .graph import serving_graph
from .signatures import film_signatures

if TYPE_CHECKING:
    from keras import Model

#: Signatures of the SavedModel that take grids, by what its convolutions compute in.
PRECISIONS = ("float32", "bfloat16", "float16")


def export(model: Model, folder: str | Path, name: str, facts: dict[str, Any]) -> Path:
    """Write a model folder that engines load; it appears whole or not at all.

    Args:
        model: a trained network, of any precision; its variables are float32.
        folder: must not exist.
        name: of the weights.
        facts: go into ``card.json`` beside what is known here: recipe, data, metrics, licence.

    Returns:
        The folder, holding ``saved_model/`` (a signature per precision and one per kind of file
        that a server takes, one set of variables), ``dynamic_int8.tflite`` and ``card.json``.

    Raises:
        WeightsError: the folder is there already.
    """
    folder = Path(folder)
    if folder.exists():
        raise WeightsError(f"{folder}: exists already; remove it or export elsewhere")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=TEMPORARY_PREFIX) as temporary:
        made = Path(temporary) / folder.name
        made.mkdir()
        _write_saved_model(model, made / SAVED_MODEL_FOLDER)
        (made / LITERT_FILE).write_bytes(_to_litert(made / SAVED_MODEL_FOLDER))
        write_card(
            made, {"name": name, "network": model.name, "size": model.input_shape[1], **facts}
        )
        made.rename(folder)
    return folder


def renew(folder: str | Path) -> None:
    """Write a model folder's SavedModel anew, of its own variables, with today's signatures.

    Its flatbuffer stays, and its card but for the digests: the weights are the same.

    Raises:
        WeightsError: the folder is no model folder, or was altered.
    """
    before = load_model(Path(folder).absolute())
    keras()
    model = build_network(before.card["network"], before.size)
    for variable, value in zip(weights_of(model), read_variables(before), strict=True):
        variable.assign(value)
    target = before.folder / SAVED_MODEL_FOLDER
    with tempfile.TemporaryDirectory(dir=before.folder.parent, prefix=TEMPORARY_PREFIX) as place:
        _write_saved_model(model, Path(place) / "new")
        target.rename(Path(place) / "old")
        (Path(place) / "new").rename(target)
    write_card(before.folder, before.card)


def _write_saved_model(model: Model, folder: Path) -> None:
    tf = tensorflow()
    module = tf.Module()
    module.held = [each.value for each in weights_of(model)]  # read_variables knows this name
    size = model.input_shape[1]
    spec = tf.TensorSpec((None, size, size, 1), tf.float32, "images")
    signatures = {}
    for precision in PRECISIONS:
        graph = serving_graph(model, precision)

        def serve(images: Any, graph: Any = graph) -> dict[str, Any]:
            return {"probabilities": graph(images)}

        signatures[precision] = tf.function(serve, input_signature=[spec], autograph=False)
    signatures |= film_signatures(serving_graph(model, "float32"), size)
    tf.saved_model.save(module, str(folder), signatures=signatures)
    shutil.rmtree(folder / "assets", ignore_errors=True)


def _to_litert(saved_model: Path) -> bytes:
    """Convert with 8-bit weights and activations quantised on the fly; nothing is calibrated."""
    tf = tensorflow()
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=["float32"]
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())
