"""Signatures of the SavedModel that map image files to label maps.

A signature reproduces ``Segmenter(engine="saved-model", precision="float32", device="cpu")``: the
label map of a JSRT file is the same in every pixel; that of a PNG differs in fewer than one pixel
in a thousand, where rounding changes the most probable class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._util.tensorflow import tensorflow
from ..readers.raw import JSRT
from .network_graph import Graph
from .outline_graph import smooth_heart_graph
from .postprocessing_graph import clean_graph, restore_graph
from .preprocessing_graph import GEOMETRY, decode_jsrt, decode_png, preprocess_graph

#: By name of the signature: the decoder of its files, and whether high values are dark (None:
#: detected).
FILE_SIGNATURES: dict[str, tuple[Callable[[Any], Any], bool | None]] = {
    "jsrt": (decode_jsrt, JSRT.inverted),
    "png": (decode_png, None),
}
#: Names of the input and the output of these signatures. TensorFlow Serving's REST interface
#: encodes outputs whose names end in ``_bytes`` as base64.
INPUT_NAME, OUTPUT_NAME = "films_bytes", "labels_bytes"
#: Files that are decoded or restored in parallel; each takes about 150 MB at 2048 x 2048.
_PARALLEL = 4


def file_signatures(graph: Graph, size: int) -> dict[str, Any]:
    """Build a TensorFlow function for each of FILE_SIGNATURES.

    Each maps (B,) strings, the bytes of B image files, to (B,) strings: PNG files of (H, W) uint8
    label maps, each at the resolution of its radiograph.

    Args:
        graph: maps (B, S, S, 1) float32 images to (B, S, S, 4) probabilities.
        size: side S of the grid.
    """
    return {
        name: _file_signature(graph, size, decode, inverted)
        for name, (decode, inverted) in FILE_SIGNATURES.items()
    }


def _file_signature(
    graph: Graph, size: int, decode: Callable[[Any], Any], inverted: bool | None
) -> Any:
    tf = tensorflow()
    prepared = tf.TensorSpec((size, size), tf.float32), tf.TensorSpec((len(GEOMETRY),), tf.int32)

    def prepare(data: Any) -> Any:
        return preprocess_graph(decode(data), size, inverted)

    def serve(files: Any) -> dict[str, Any]:
        grids, geometries = tf.map_fn(
            prepare, files, fn_output_signature=prepared, parallel_iterations=_PARALLEL
        )
        pairs = graph(grids[..., None]), geometries
        label_maps = tf.map_fn(
            _encode_labels, pairs, fn_output_signature=tf.string, parallel_iterations=_PARALLEL
        )
        return {OUTPUT_NAME: label_maps}

    spec = tf.TensorSpec((None,), tf.string, INPUT_NAME)
    return tf.function(serve, input_signature=[spec], autograph=False)


def _encode_labels(pair: tuple[Any, Any]) -> Any:
    """PNG bytes of the label map for (S, S, 4) probabilities and their geometry."""
    tf = tensorflow()
    probabilities, geometry = pair
    smoothed = smooth_heart_graph(probabilities, geometry)
    return tf.io.encode_png(clean_graph(restore_graph(smoothed, geometry))[..., None])
