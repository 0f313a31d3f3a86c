"""Model folders: trained weights, their model card, and their verification.

A model folder contains ``saved_model/``, ``dynamic_int8.tflite`` and ``card.json``. The card
describes the network, its training and its licence, and lists the SHA-256 of every other file,
except ``calibration.json``, which can be added later and names the weights that it belongs to.
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

from .._util.files import file_sha256, write_text
from .._util.json_types import check_fields, parse_object
from .._util.tensorflow import tensorflow
from ..errors import WeightsError
from ..labels import BACKGROUND, ORGANS

CARD_FILE = "card.json"
SAVED_MODEL_FOLDER = "saved_model"
CALIBRATION_FILE = "calibration.json"
#: Files for people, which decide no result: the model card, and the plan of its training.
MODEL_CARD_FILE, PLAN_FILE = "README.md", "training.toml"
LITERT_FILE = "dynamic_int8.tflite"

#: Attribute of the SavedModel's root module that holds the network's variables, as a list.
VARIABLES_ATTRIBUTE = "held"

#: Types of the entries of a card; others are shown, but not used.
_REQUIRED = {"name": str, "size": int, "labels": dict[str, int], "files": dict[str, str]}
_OPTIONAL = {"network": str | None, "split": dict, "trained_before": list[str]}
PARTS = ("train", "validation", "test")
#: Side of the largest grid, in pixels: finer than radiographs are.
_LARGEST = 16384

#: Name of the weights used by default.
DEFAULT_WEIGHTS = "inverted-net-256"
#: Environment variable that selects other weights than the default.
WEIGHTS_VARIABLE = "XRAYSEG_WEIGHTS"


@dataclass(frozen=True)
class Model:
    """A verified model folder.

    Attributes:
        folder: path of the folder.
        card: content of ``card.json``.
    """

    folder: Path
    card: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the weights, as in ``--weights NAME``."""
        return str(self.card["name"])

    @property
    def size(self) -> int:
        """Side of the network's square input grid."""
        return int(self.card["size"])

    @property
    def shipped(self) -> bool:
        """Whether the model is part of this package."""
        return self.folder.parent == _shipped()

    @property
    def sha256(self) -> str:
        """Digest of all files of the model that decide its probabilities."""
        listing = json.dumps(self.card["files"], sort_keys=True)
        return hashlib.sha256(listing.encode()).hexdigest()

    @property
    def calibration_sha256(self) -> str:
        """Digest of the calibration of predicted Dice; empty without one."""
        path = self.folder / CALIBRATION_FILE
        return file_sha256(path) if path.is_file() else ""


def shipped_models() -> list[str]:
    """Names of the models that are part of this package."""
    return sorted(path.parent.name for path in _shipped().glob(f"*/{CARD_FILE}"))


def load_model(name: str | os.PathLike[str] | None = None) -> Model:
    """Find a model folder and verify its files against its card.

    Args:
        name: name of a shipped model, or path of a model folder; None for the one that the
            environment variable ``XRAYSEG_WEIGHTS`` names, or else for the default.

    Raises:
        WeightsError: the model does not exist, its card is invalid or for other labels, or a file
            is missing, added or altered.
    """
    name = os.fspath(name or os.environ.get(WEIGHTS_VARIABLE) or DEFAULT_WEIGHTS)
    # A path with a separator (./name) is a folder, even if a shipped model has the same name.
    folder = _shipped() / name if name in shipped_models() else Path(name)
    path = folder / CARD_FILE
    if not path.is_file():
        names = ", ".join(shipped_models()) or "none"
        raise WeightsError(
            f"{name}: neither shipped weights ({names}) nor a model folder with a {CARD_FILE}"
        )
    card = _read_card(path)
    _verify_files(folder, card["files"])
    return Model(folder, card)


def _read_card(path: Path) -> dict[str, Any]:
    """Read and validate a model card; raise WeightsError if it is invalid."""
    try:
        card = parse_object(path.read_bytes())
        check_fields(card, _REQUIRED, _OPTIONAL)
        check_fields(card.get("split", {}), {}, dict.fromkeys(PARTS, list[str]))
        if not 1 <= card["size"] <= _LARGEST:
            raise ValueError(f"size is {card['size']}, not 1 to {_LARGEST}")
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: is not a model card ({error}); restore it") from error
    if card["labels"] != _labels():
        raise WeightsError(
            f"{path}: is for labels {card['labels']}, not for {_labels()}; use other weights"
        )
    return card


def _verify_files(folder: Path, listed: dict[str, str]) -> None:
    """Raise WeightsError if the files of a folder differ from the SHA-256 digests of its card."""
    found = _hashes(folder)
    for file in sorted(set(listed) | set(found)):
        if listed.get(file) != found.get(file):
            changed = "altered" if file in listed else "not listed"
            state = changed if file in found else "missing"
            raise WeightsError(
                f"{folder / file}: {state}, by the SHA-256 in {CARD_FILE}; restore the weights"
            )


def trained_names(model: Model) -> frozenset[str]:
    """Names of the cases that a model was trained on, including those of its initial weights."""
    return frozenset(
        (*model.card.get("split", {}).get("train", ()), *model.card.get("trained_before", ()))
    )


def read_variables(model: Model) -> list[npt.NDArray[Any]]:
    """Read the network's variables from the SavedModel of a model folder.

    Returns:
        float32 arrays, in the order of ``network.weights_of``.

    Raises:
        WeightsError: they cannot be read.
    """
    tf = tensorflow()
    checkpoint = model.folder / SAVED_MODEL_FOLDER / "variables" / "variables"
    prefix = f"{VARIABLES_ATTRIBUTE}/"
    try:
        reader = tf.train.load_checkpoint(str(checkpoint))
        names = [name for name in reader.get_variable_to_shape_map() if name.startswith(prefix)]
        names.sort(key=lambda name: int(name.split("/")[1]))
        values = [reader.get_tensor(name) for name in names]
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(
            f"{checkpoint}: cannot be read as variables ({reason}); use other weights"
        ) from error
    # Older exports, such as inverted-net-128, also hold the random states of dropout, as integers.
    return [value for value in values if value.dtype == np.float32]


def write_card(folder: Path, facts: dict[str, Any]) -> None:
    """Write ``card.json`` of a model folder: facts, labels, and the SHA-256 of its files."""
    card = {**facts, "labels": _labels(), "files": _hashes(folder)}
    write_text(folder / CARD_FILE, json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def _shipped() -> Path:
    return Path(__file__).parents[1] / "weights"


def _labels() -> dict[str, int]:
    return {"background": BACKGROUND, **{organ.name: organ.label for organ in ORGANS}}


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of a model folder that decide its probabilities, by relative path."""
    others = (CARD_FILE, CALIBRATION_FILE, MODEL_CARD_FILE, PLAN_FILE)
    left_out = {folder / name for name in others}
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in left_out and "__pycache__" not in path.parts
    }
