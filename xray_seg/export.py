"""From a trained Keras model to what is shipped: SavedModel, LiteRT flatbuffer, card."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .atomic import TEMPORARY_PREFIX
from .errors import WeightsError
from .model_card import LITERT_FILE, SAVED_MODEL_FOLDER, write_card
from .network import build_network
from .quiet import tensorflow

if TYPE_CHECKING:
    from keras import Model

#: Signature of the SavedModel, and the Keras policy that it computes in.
PRECISIONS = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


def export(model: Model, folder: str | Path, name: str, facts: dict[str, Any]) -> Path:
    """Write a model folder that engines load; it appears whole or not at all.

    Args:
        model: a trained network, of any precision; its variables are float32.
        folder: must not exist.
        name: of the weights.
        facts: go into ``card.json`` beside what is known here: recipe, data, metrics, licence.

    Returns:
        The folder, holding ``saved_model/`` (a signature per precision, one set of variables),
        ``dynamic_int8.tflite`` and ``card.json``.

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
        size = model.input_shape[1]
        _write_saved_model(model, size, made / SAVED_MODEL_FOLDER)
        (made / LITERT_FILE).write_bytes(_to_litert(made / SAVED_MODEL_FOLDER))
        write_card(made, {"name": name, "network": model.name, "size": size, **facts})
        made.rename(folder)
    return folder


def _write_saved_model(model: Model, size: int, folder: Path) -> None:
    tf = tensorflow()
    module = tf.Module()
    trained = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    module.held = trained + others  # model_card.read_variables reads them by this name
    signatures = {}
    for precision, policy in PRECISIONS.items():
        # The same layers at another precision, fed with the one set of variables.
        twin = build_network(model.name, size, policy)

        def serve(images: Any, twin: Any = twin) -> dict[str, Any]:
            outputs, _ = twin.stateless_call(trained, others, images, training=False)
            return {"probabilities": outputs}

        spec = tf.TensorSpec((None, size, size, 1), tf.float32, "images")
        signatures[precision] = tf.function(serve, input_signature=[spec], autograph=False)
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
