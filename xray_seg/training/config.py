"""Training configuration: every setting of a training run except its cases."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..data.splits import STUDY_SHARES, VALIDATION_SHARE

#: Number of synthetic cases from which each epoch draws its share.
PHANTOM_POOL = 48

#: Network and grid side of a run that names neither them nor initial weights.
DEFAULT_NETWORK, DEFAULT_SIZE = "inverted-net", 128

#: Settings that take one of a few names.
_CHOICES = {
    "optimizer": ("adamw", "adadelta"),
    "loss": ("soft-dice", "pixel-dice"),
    "augmentation": ("full", "study"),
    "precision": ("auto", "float32", "bfloat16", "mixed_bfloat16", "mixed_float16"),
}
#: Settings that must be above 0 where they are not None.
_POSITIVE = ("size", "epochs", "batch_size", "steps", "learning_rate", "patience")
#: Settings that are whole numbers where they are not None; the other numbers may have fractions.
_WHOLE = ("size", "epochs", "batch_size", "steps", "phantoms", "patience", "seed")
_NUMBERS = ("learning_rate", "warmup_epochs", "weight_decay", "ema", "dropout")
#: Not recorded: a run's record lists the cases of each part by name.
_UNRECORDED = ("validation_share", "test_share")


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training run, recorded in ``run.json`` and in the card of its weights.

    Attributes:
        network: a name in ``models.network.FILTERS``; None for the network of ``init``, or
            DEFAULT_NETWORK.
        size: side of the network's input grid in pixels; None for that of ``init``, or
            DEFAULT_SIZE.
        epochs: largest number of epochs.
        batch_size: cases per step, over all devices and hosts.
        steps: steps per epoch, with cases drawn at random; None to use each case once.
        optimizer: ``adamw`` (linear warm-up to ``learning_rate``, then cosine decay to 0) or
            ``adadelta`` (constant ``learning_rate``).
        learning_rate: peak learning rate.
        warmup_epochs: length of AdamW's warm-up, limited to a fifth of ``epochs``.
        weight_decay: weight decay of AdamW.
        ema: decay per step of the exponential moving average of the weights that is validated and
            kept, such as 0.995; None to keep the weights of the last step.
        dropout: share of features dropped, in [0, 1); None for the network's default.
        loss: ``soft-dice`` (``losses.soft_dice_cross_entropy``) or ``pixel-dice`` (the loss of
            the 2019 study).
        augmentation: ``full`` (``augmentation.augment``) or ``study`` (that of the 2019 study).
        phantoms: synthetic cases mixed into each epoch, 0 to PHANTOM_POOL.
        patience: stop after this many epochs without a higher validation accuracy and return the
            best epoch's weights; None to run all epochs and return the last weights.
        precision: ``float32``, ``bfloat16`` or a Keras dtype policy; ``auto`` for bfloat16 where
            it is faster, else float32. Variables are always float32.
        seed: seed of the split, initial weights, dropout, case order and augmentation.
        init: initial weights: a shipped model's name or a model folder; None for random ones.
        labels_from: weights that fill in what masks do not show, see ``pseudo_labels``: a shipped
            model's name or a model folder; None to leave it open.
        validation_share: share of the cases held out for validation, unless a fold is given.
        test_share: share of the cases held out for testing, unless a fold is given.
    """

    network: str | None = None
    size: int | None = None
    epochs: int = 50
    batch_size: int = 4
    steps: int | None = None
    optimizer: str = "adamw"
    learning_rate: float = 7e-4
    warmup_epochs: float = 2.0
    weight_decay: float = 1e-3
    ema: float | None = None
    dropout: float | None = None
    loss: str = "soft-dice"
    augmentation: str = "full"
    phantoms: int = 16
    patience: int | None = None
    precision: str = "auto"
    seed: int = 0
    init: str | None = None
    labels_from: str | None = None
    validation_share: float = VALIDATION_SHARE
    test_share: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: a setting is out of range or not one of the names it can take.
        """
        for setting in (*_WHOLE, *_NUMBERS):
            value = getattr(self, setting)
            kind = int if setting in _WHOLE else (int, float)
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                what = "a whole number" if setting in _WHOLE else "a number"
                raise ValueError(f"{setting} must be {what}, not {value!r}")
        if not 0 <= self.phantoms <= PHANTOM_POOL:
            raise ValueError(f"phantoms must be 0 to {PHANTOM_POOL}, not {self.phantoms}")
        for setting in _POSITIVE:
            value = getattr(self, setting)
            if value is not None and not value > 0:
                raise ValueError(f"{setting} must be above 0, not {value}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ValueError(f"ema must be between 0 and 1, not {self.ema}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be 0 or more and below 1, not {self.dropout}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more, not {self.seed}")
        for setting, choices in _CHOICES.items():
            if getattr(self, setting) not in choices:
                raise ValueError(
                    f"{setting} must be one of {', '.join(choices)}, not {getattr(self, setting)!r}"
                )

    def as_record(self) -> dict[str, Any]:
        """Return the settings as ``run.json`` and model cards hold them under ``recipe``.

        ``validation_share`` and ``test_share`` are left out, since the record lists the cases of
        each part by name.
        """
        return {key: value for key, value in asdict(self).items() if key not in _UNRECORDED}


#: This project's own configuration.
STANDARD = TrainingConfig()

#: Configurations by the names that ``xrayseg train --recipe`` takes.
TRAINING_CONFIGS = {
    "standard": STANDARD,
    # The configuration of the 2019 study. Keras 3's default rate for AdaDelta would be 0.001.
    "paper": TrainingConfig(
        network="inverted-net",
        size=128,
        epochs=1000,
        batch_size=32,
        steps=10,
        optimizer="adadelta",
        learning_rate=1.0,
        loss="pixel-dice",
        augmentation="study",
        phantoms=0,
        patience=100,
        precision="float32",
        validation_share=STUDY_SHARES[0],
        test_share=STUDY_SHARES[1],
    ),
}
