"""What decides what a training run gives, besides its cases."""

from __future__ import annotations

from dataclasses import dataclass

#: Different phantoms that a run can draw on.
PHANTOM_POOL = 48


@dataclass(frozen=True)
class Recipe:
    """All choices of a run; it is recorded with the run and in the card of its weights.

    Attributes:
        network: one of network.FILTERS.
        size: side of the network's grid.
        epochs: how many at most.
        batch_size: cases a step.
        steps: steps an epoch, of cases drawn at random; None to take each case once.
        optimizer: ``adamw``, with a warm-up to ``learning_rate`` and a cosine down to 0, or
            ``adadelta``, at ``learning_rate`` throughout.
        learning_rate: the optimizer's peak.
        warmup_epochs: AdamW's; a fifth of the epochs at most.
        weight_decay: AdamW's.
        dropout: share of features dropped; None for the network's own.
        loss: ``soft-dice``, see losses.soft_dice_cross_entropy, or ``pixel-dice``, the study's.
        augmentation: ``full``, see augmentation.augment, or ``study``, the study's.
        phantoms: synthetic cases mixed into each epoch, 0 to PHANTOM_POOL.
        patience: stop after so many epochs without a better validation accuracy, and keep the
            weights of the best; None to run all epochs and keep the last weights.
        precision: Keras dtype policy of the steps; variables stay float32.
        seed: of weights, dropout, order and augmentation.
        init: weights to start from, a shipped model's name or a model folder; None for fresh ones.
    """

    network: str = "inverted-net"
    size: int = 128
    epochs: int = 50
    batch_size: int = 4
    steps: int | None = None
    optimizer: str = "adamw"
    learning_rate: float = 7e-4
    warmup_epochs: float = 2.0
    weight_decay: float = 1e-3
    dropout: float | None = None
    loss: str = "soft-dice"
    augmentation: str = "full"
    phantoms: int = 16
    patience: int | None = None
    precision: str = "float32"
    seed: int = 0
    init: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for more phantoms than there are."""
        if not 0 <= self.phantoms <= PHANTOM_POOL:
            raise ValueError(f"phantoms must be 0 to {PHANTOM_POOL}, not {self.phantoms}")


#: By the names that ``xrayseg train --recipe`` takes.
RECIPES = {
    "standard": Recipe(),
    # The 2019 study's, to the letter; Keras 3's own default for AdaDelta would be 0.001.
    "paper": Recipe(
        epochs=1000,
        batch_size=32,
        steps=10,
        optimizer="adadelta",
        learning_rate=1.0,
        loss="pixel-dice",
        augmentation="study",
        phantoms=0,
        patience=100,
    ),
}
