"""Keras metrics that compare with the class shares of targets, see ``targets.class_shares``."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ..labels import CLASSES, Organ
from .targets import class_shares


@keras.saving.register_keras_serializable("xray_seg")
class _Accuracy(keras.metrics.CategoricalAccuracy):  # type: ignore[misc]
    """Share of the pixels whose most probable class is right."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(class_shares(y_true, y_pred, ops), y_pred, sample_weight)


@keras.saving.register_keras_serializable("xray_seg")
class _Overlap(keras.metrics.OneHotIoU):  # type: ignore[misc]
    """Jaccard of the most probable classes."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(class_shares(y_true, y_pred, ops), y_pred, sample_weight)


def accuracy() -> keras.metrics.Metric:
    """Share of the pixels whose most probable class is right."""
    return _Accuracy(name="accuracy")


def overlap(organ: Organ) -> keras.metrics.Metric:
    """Jaccard of an organ over all pixels of a batch or part."""
    return _Overlap(CLASSES, [organ.label], name=f"jaccard_{organ.name}")
