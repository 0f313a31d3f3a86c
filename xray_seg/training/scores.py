"""Keras metrics on targets of partly annotated images, see ``targets.class_shares``."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ..labels import BACKGROUND, CLASSES, Organ
from .targets import class_shares, possible_classes


@keras.saving.register_keras_serializable("xray_seg")
class _Accuracy(keras.metrics.CategoricalAccuracy):  # type: ignore[misc]
    """Share of the pixels whose most probable class is possible."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(class_shares(y_true, y_pred, ops), y_pred, sample_weight)


@keras.saving.register_keras_serializable("xray_seg")
class _Overlap(keras.metrics.OneHotIoU):  # type: ignore[misc]
    """Jaccard of the most probable classes, over the images whose masks show the organ."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        possible = possible_classes(y_true, ops)
        if possible is not None:
            is_known = 1 - possible[:, BACKGROUND, self.target_class_ids[0]]  # (B,)
            weights = ops.cast(is_known, self.dtype)[:, None, None]
            sample_weight = ops.broadcast_to(weights, ops.shape(y_pred)[:3])
        return super().update_state(class_shares(y_true, y_pred, ops), y_pred, sample_weight)


def accuracy() -> keras.metrics.Metric:
    """Share of the pixels whose most probable class is possible."""
    return _Accuracy(name="accuracy")


def overlap(organ: Organ) -> keras.metrics.Metric:
    """Jaccard of an organ over all pixels of a part; 0 if no masks show it."""
    return _Overlap(CLASSES, [organ.label], name=f"jaccard_{organ.name}")
