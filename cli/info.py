"""The command ``xrayseg info``."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command()
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object, which also lists the licence of each component.",
)
def command(as_json: bool) -> None:
    """Show versions, devices, weights, and whether each engine runs.

    Exit status: 0 all weights and engines work, 1 one of them does not.
    """
    from .._util.environment import components, versions
    from ..errors import XraySegError
    from ..models.engines.devices import devices
    from ..models.model_folder import load_model, shipped_models
    from . import console

    facts: dict[str, Any] = {"versions": versions(), "devices": devices(), "weights": {}}
    broken = False
    for name in shipped_models():
        try:
            model = load_model(name)
            facts["weights"][name] = {"size": model.size, "sha256": model.sha256, **_engines(model)}
        except XraySegError as error:
            facts["weights"][name] = {"error": str(error)}
        broken |= any("error" in str(key) for key in facts["weights"][name])
    if as_json:
        facts["components"] = components()
        click.echo(json.dumps(facts, indent=2))
    else:
        for title in ("versions", "devices"):
            rows = [[key, str(value)] for key, value in facts[title].items()]
            console.table(title, ["name", "value"], rows)
        for name, entries in facts["weights"].items():
            rows = [[key, str(value)] for key, value in entries.items()]
            console.table(f"weights {name}", ["name", "value"], rows)
    if broken or not facts["weights"]:
        raise click.exceptions.Exit(1)


def _engines(model: Any) -> dict[str, str]:
    """Run each engine on an empty grid and describe its state."""
    import numpy as np

    from ..models.engines import ENGINES, open_engine

    states = {}
    for name in ENGINES[1:]:
        try:
            engine = open_engine(model, name)
            engine.predict(np.zeros((1, model.size, model.size), np.float32))
            states[name] = f"runs in {engine.precision} on {engine.device}"
        except Exception as error:  # noqa: BLE001 - any failure is reported
            states[f"{name} error"] = str(error)
    return states
