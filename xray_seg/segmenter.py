"""The library's front door: radiographs in, segmentations at their own resolution out."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any, Literal, overload

import numpy as np

from .errors import XraySegError
from .models.engines import Engine, is_deterministic, open_engine
from .models.model_folder import Model, load_model
from .preprocessing.corrections import ALL, Corrections
from .preprocessing.preprocessor import ModelInput, Preprocessor
from .readers.sources import Source, as_radiograph
from .second_look import Prediction, look_again
from .segmentation import Segmentation


class Segmenter:
    """A loaded model that segments radiographs. Not for several threads at once.

    Example:
        segmenter = xray_seg.Segmenter()
        labels = segmenter(xray_seg.read("JPCLN001.IMG")).labels

    Args:
        weights: a shipped model's name, a model folder, or a Model; None for the default.
        engine: ``auto``, ``saved-model``, ``litert``, or an Engine to use as it is.
        precision: ``auto``, ``float32``, ``bfloat16``, ``float16`` or ``int8``.
        device: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``.
        threads: CPU threads of the engine; None for all cores.
        deterministic: whether label maps must not depend on the instruction sets of the processor;
            several times slower. An Engine is used as it is.
        corrections: what is corrected of stored images: polarity, orientation, field of view.

    Raises:
        WeightsError: there are no such weights, or they were altered.
        EngineError: the engine cannot run here.
    """

    def __init__(
        self,
        weights: str | PathLike[str] | Model | None = None,
        *,
        engine: str | Engine = "auto",
        precision: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        deterministic: bool = False,
        corrections: Corrections = ALL,
    ) -> None:
        self.corrections = corrections
        self.model: Model = weights if isinstance(weights, Model) else load_model(weights)
        self.engine: Engine = (
            open_engine(
                self.model,
                engine,
                precision=precision,
                device=device,
                threads=threads,
                deterministic=deterministic,
            )
            if isinstance(engine, str)
            else engine
        )

    def __call__(self, radiograph: Source) -> Segmentation:
        """Segment one radiograph.

        Args:
            radiograph: a Radiograph, a path, a file's bytes, an open binary file, a 2-D array or
                image with bones bright, a pydicom Dataset, a PIL image, or a tensor.

        Raises:
            ReadError: it cannot be read as a radiograph.
        """
        return self.segment([radiograph])[0]

    @overload
    def segment(
        self, radiographs: Iterable[Source], *, errors: Literal["raise"] = "raise"
    ) -> list[Segmentation]: ...

    @overload
    def segment(
        self, radiographs: Iterable[Source], *, errors: Literal["return"]
    ) -> list[Segmentation | XraySegError]: ...

    def segment(
        self, radiographs: Iterable[Source], *, errors: Literal["raise", "return"] = "raise"
    ) -> list[Any]:
        """Segment several radiographs, which may differ in size.

        The engine gets as many at once as suit it.

        Args:
            radiographs: see ``__call__``.
            errors: ``raise`` the first error, or ``return`` each in the place of its result.

        Raises:
            ReadError: one of them cannot be read as a radiograph.
            ValueError: ``errors`` is neither of the two.
        """
        if errors not in ("raise", "return"):
            raise ValueError(f"errors must be 'raise' or 'return', not {errors!r}")
        preprocess = Preprocessor(self.engine.size, self.corrections)
        results: list[Any] = []
        waiting: list[tuple[int, ModelInput]] = []
        for source in radiographs:
            try:
                waiting.append((len(results), preprocess(as_radiograph(source))))
                results.append(None)
            except XraySegError as error:
                if errors == "raise":
                    raise
                results.append(error)
            if len(waiting) == self.engine.batch_size:
                self._predict(waiting, results)
        self._predict(waiting, results)
        return results

    def _predict(self, waiting: list[tuple[int, ModelInput]], results: list[Any]) -> None:
        """Put the results of waiting inputs into their places, and empty the list."""
        if not waiting:
            return
        probabilities = self.engine.predict(np.stack([each.grid for _, each in waiting]))
        first = [
            Prediction(shown, own) for (_, shown), own in zip(waiting, probabilities, strict=True)
        ]
        for (place, _), each in zip(
            waiting, look_again(self.engine, first, self.model), strict=True
        ):
            results[place] = Segmentation.from_probabilities(
                each.model_input, each.probabilities, self.model
            )
        waiting.clear()

    def __repr__(self) -> str:
        """Its weights and engine."""
        return f"Segmenter({self.model.name!r}, engine={' '.join(self._engine_facts)!r})"

    def __eq__(self, other: object) -> bool:
        """Whether the other has the same weights in the same kind of engine."""
        if not isinstance(other, Segmenter):
            return NotImplemented
        one, two = ((each.model.sha256, *each._engine_facts) for each in (self, other))
        return one == two

    def __hash__(self) -> int:
        """Of weights and engine."""
        return hash((self.model.sha256, *self._engine_facts))

    @property
    def _engine_facts(self) -> tuple[str, ...]:
        facts = self.engine.name, self.engine.precision, self.engine.device
        return (*facts, "deterministic") if is_deterministic(self.engine) else facts
