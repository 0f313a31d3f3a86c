"""Whether the processors that a batch was computed on can give different label maps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

from .._util.processor import Processor


def mixture(processors: Iterable[Processor], *, deterministic: bool) -> str | None:
    """What to say of processors whose label maps may differ; None where they cannot.

    Args:
        processors: that run an engine.
        deterministic: whether the engine is, see ``models.engines.open_engine``.
    """
    classes = {each.results_depend_on(deterministic=deterministic) for each in processors}
    if len(classes) < 2:
        return None
    if deterministic:
        return (
            f"computed on different systems ({'; '.join(sorted(classes))}): label maps may differ "
            "in single pixels between them, as --deterministic holds for one architecture and one "
            "C library"
        )
    return (
        f"computed on different instruction sets ({', '.join(sorted(classes))}): label maps may "
        "differ in single pixels between them; --deterministic avoids it"
    )


def to_json(processors: Iterable[Processor]) -> list[dict[str, Any]]:
    """Processors as run.json has them, each once."""
    return [asdict(each) for each in sorted(set(processors))]


def from_json(facts: Any) -> list[Processor]:
    """Processors of a run.json.

    Raises:
        ValueError: they are of another form.
    """
    names = [each.name for each in fields(Processor)]
    try:
        found = [{name: each[name] for name in names} for each in facts]
        return [Processor(**{**each, "features": tuple(each["features"])}) for each in found]
    except (KeyError, TypeError) as error:
        raise ValueError(f"processors are not described ({error!r})") from error
