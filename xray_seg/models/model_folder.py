"""Model folders: what is in one, where the shipped ones are, whether they are unaltered.

A model folder holds ``saved_model/``, ``dynamic_int8.tflite`` and ``card.json``, which describes
the network, its training and its licence, and lists the SHA-256 of every other file.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.files import write_text
from .._util.tensorflow import tensorflow
from ..errors import WeightsError
from ..labels import BACKGROUND, ORGANS

CARD_FILE = "card.json"
SAVED_MODEL_FOLDER = "saved_model"
LITERT_FILE = "dynamic_int8.tflite"

#: The weights that are used where none are named.
DEFAULT_WEIGHTS = "inverted-net-256"
#: Environment variable that names others.
WEIGHTS_VARIABLE = "XRAYSEG_WEIGHTS"


@dataclass(frozen=True)
class Model:
    """A model folder whose files were found to be those of its card.

    Attributes:
        folder: where it lies.
        card: the whole of ``card.json``.
    """

    folder: Path
    card: dict[str, Any]

    @property
    def name(self) -> str:
        """As in ``--weights NAME``."""
        return str(self.card["name"])

    @property
    def size(self) -> int:
        """Side of the network's grid."""
        return int(self.card["size"])

    @property
    def shipped(self) -> bool:
        """Whether it came with this package."""
        return self.folder.parent == _shipped()

    @property
    def sha256(self) -> str:
        """One digest that stands for all files of the model."""
        listing = json.dumps(self.card["files"], sort_keys=True)
        return hashlib.sha256(listing.encode()).hexdigest()


def shipped_models() -> list[str]:
    """Names of the weights that come with this package."""
    return sorted(path.parent.name for path in _shipped().glob(f"*/{CARD_FILE}"))


def load_model(name: str | os.PathLike[str] | None = None) -> Model:
    """Find a model folder and check every file of it against its card.

    Args:
        name: a shipped model's name or a model folder; None for the one named in the environment
            variable ``XRAYSEG_WEIGHTS``, or the default.

    Raises:
        WeightsError: there is no such model, or a file is missing, added or altered.
    """
    name = os.fspath(name or os.environ.get(WEIGHTS_VARIABLE) or DEFAULT_WEIGHTS)
    # A name with a separator (./name) is a folder's, even where weights of that name are shipped.
    folder = _shipped() / name if name in shipped_models() else Path(name)
    path = folder / CARD_FILE
    if not path.is_file():
        names = ", ".join(shipped_models()) or "none"
        raise WeightsError(
            f"{name}: neither shipped weights ({names}) nor a model folder with a {CARD_FILE}"
        )
    try:
        card = json.loads(path.read_text("utf-8"))
        listed, size, labels = card["files"], int(card["size"]), card["labels"]
        card["name"], listed.items()
        if size < 1:
            raise ValueError(f"size {size}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: is not a model card ({error!r}); restore it") from error
    if labels != _labels():
        raise WeightsError(f"{path}: is for labels {labels}, not for {_labels()}")
    found = _hashes(folder)
    for file in sorted(set(listed) | set(found)):
        if listed.get(file) != found.get(file):
            changed = "altered" if file in listed else "not listed"
            state = changed if file in found else "missing"
            raise WeightsError(
                f"{folder / file}: {state}, by the SHA-256 in {CARD_FILE}; restore the weights"
            )
    return Model(folder, card)


def trained_names(model: Model) -> frozenset[str]:
    """Names of all cases that a model, or the one that it started from, was trained on."""
    return frozenset(
        (*model.card.get("split", {}).get("train", ()), *model.card.get("trained_before", ()))
    )


def read_variables(model: Model) -> list[npt.NDArray[Any]]:
    """The network's variables in the order of network.weights_of, all float32."""
    tf = tensorflow()
    prefix = str(model.folder / SAVED_MODEL_FOLDER / "variables" / "variables")
    reader = tf.train.load_checkpoint(prefix)
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("held/")]
    values = (reader.get_tensor(name) for name in sorted(names, key=lambda n: int(n.split("/")[1])))
    return [value for value in values if value.dtype == np.float32]  # once with dropout states


def write_card(folder: Path, facts: dict[str, Any]) -> None:
    """Describe the files of a model folder in its ``card.json``."""
    card = {**facts, "labels": _labels(), "files": _hashes(folder)}
    write_text(folder / CARD_FILE, json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def _shipped() -> Path:
    return Path(__file__).parents[1] / "weights"


def _labels() -> dict[str, int]:
    return {"background": BACKGROUND, **{organ.name: organ.label for organ in ORGANS}}


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by path of all files of a model folder but the card."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != CARD_FILE and "__pycache__" not in path.parts
    }
