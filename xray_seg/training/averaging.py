"""Exponential moving average of a network's weights, which the optimizer keeps in training.

Tarvainen and Valpola, NeurIPS 2017, use such an average as a teacher; here it is validated and
published, since it varies less from step to step than the weights themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Give a network its averaged weights within the block, if its optimizer keeps an average."""
    if not model.optimizer.use_ema or not int(model.optimizer.iterations):
        yield
        return
    from keras import ops

    # Copies: the backend may give views of memory that it writes to.
    current = [np.array(ops.convert_to_numpy(each)) for each in model.trainable_variables]
    keep_averaged_weights(model)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, current, strict=True):
            variable.assign(value)


def keep_averaged_weights(model: keras.Model) -> None:
    """Replace a network's weights by their average, if its optimizer keeps one."""
    if model.optimizer.use_ema and int(model.optimizer.iterations):
        model.optimizer.finalize_variable_values(model.trainable_variables)
