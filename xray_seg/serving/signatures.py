"""Signatures of the SavedModel that take files as they are and give label maps, for servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._util.tensorflow import tensorflow
from .postprocessing_graph import clean_graph, restore_graph
from .preprocessing_graph import decode_jsrt, decode_png, fit_graph

#: By signature: how its files are decoded, and whether high is dark (None: it is looked at).
FILMS: dict[str, tuple[Callable[[Any], Any], bool | None]] = {
    "jsrt": (decode_jsrt, True),
    "png": (decode_png, None),
}
#: Names of the signatures' input and output. TensorFlow Serving's REST interface passes outputs
#: whose names end so as base64.
FILMS_INPUT, LABELS_OUTPUT = "films_bytes", "labels_bytes"
#: Films that are decoded or restored at once; each takes about 150 MB at 2048 x 2048.
_AT_ONCE = 4


def film_signatures(graph: Callable[[Any], Any], size: int) -> dict[str, Any]:
    """A TensorFlow function for each of FILMS.

    It maps (B,) strings, the films' files, to (B,) strings, PNG files of (H, W) label maps at each
    film's own resolution: 0 background, 1 clavicles, 2 heart, 3 lungs.

    Args:
        graph: maps (B, S, S, 1) float32 to (B, S, S, 4) probabilities.
        size: side S of the grid.
    """
    tf = tensorflow()
    fitted = tf.TensorSpec((size, size), tf.float32), tf.TensorSpec((6,), tf.int32)

    def make(decode: Callable[[Any], Any], inverted: bool | None) -> Any:
        def prepare(data: Any) -> Any:
            return fit_graph(decode(data), size, inverted)

        def serve(films: Any) -> dict[str, Any]:
            grids, places = tf.map_fn(
                prepare, films, fn_output_signature=fitted, parallel_iterations=_AT_ONCE
            )
            pairs = graph(grids[..., None]), places
            maps = tf.map_fn(
                _finish, pairs, fn_output_signature=tf.string, parallel_iterations=_AT_ONCE
            )
            return {LABELS_OUTPUT: maps}

        spec = tf.TensorSpec((None,), tf.string, FILMS_INPUT)
        return tf.function(serve, input_signature=[spec], autograph=False)

    return {name: make(*how) for name, how in FILMS.items()}


def _finish(pair: tuple[Any, Any]) -> Any:
    tf = tensorflow()
    return tf.io.encode_png(clean_graph(restore_graph(*pair))[..., None])
