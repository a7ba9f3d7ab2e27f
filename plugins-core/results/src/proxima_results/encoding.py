"""A run record as the text of its database row and back; the circuit and arrays are kept apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import RunOptions
from proxima.contracts.noise import NoiseModel
from proxima.contracts.observable import PauliSum
from proxima.contracts.records import RunRecord
from proxima.contracts.result import RunResult
from proxima.contracts.result_json import ARRAYS, result_from_dict, result_to_dict
from proxima.errors import StorageError, UsageError

_WITHOUT_ARRAYS: dict[str, Any] = dict.fromkeys(ARRAYS)


def encode_record(record: RunRecord) -> str:
    """Everything of a record but its circuit and arrays, as JSON.

    Raises:
        UsageError: The options for the backend hold something that JSON cannot.
    """
    data = {
        "result": result_to_dict(replace(record.result, **_WITHOUT_ARRAYS)),
        "options": _options_to_dict(record.options),
        "host": dict(record.host),
    }
    try:
        return json.dumps(data, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the run cannot be stored: its backend options are not plain data: {error}",
            hint="use numbers, text, lists and dicts, or run with store=False",
        ) from None


def decode_record(text: str, *, where: str) -> tuple[RunResult, RunOptions, dict[str, str]]:
    """The result without arrays, the options and the host that `encode_record` wrote.

    Raises:
        StorageError: Naming ``where`` the text was found: it is not what was written.
    """
    try:
        data = json.loads(text)
        return result_from_dict(data["result"]), _options_from_dict(data["options"]), dict(data["host"])
    except (UsageError, KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{where} is damaged: {type(error).__name__}: {error}", hint="delete it with `proxima results delete`"
        ) from None


def _options_to_dict(options: RunOptions) -> dict[str, Any]:
    return {
        "backend": options.backend,
        "shots": options.shots,
        "seed": options.seed,
        "precision": options.precision,
        "noise": None if options.noise is None else options.noise.to_json(),
        "wants": options.wants,
        "observables": [o.terms for o in options.observables],
        "deadline": options.deadline,
        "threads": options.threads,
        "store": options.store,
        "parts": options.parts,
        "optimize": options.optimize,
        "parameters": dict(options.parameters),
        "options": dict(options.options),
    }


def _options_from_dict(data: Mapping[str, Any]) -> RunOptions:
    fields = dict(data)
    noise = fields["noise"]
    fields["noise"] = None if noise is None else NoiseModel.parse(str(noise))
    fields["wants"] = tuple(fields["wants"])
    fields["observables"] = tuple(
        PauliSum(tuple((float(c), str(letters)) for c, letters in terms)) for terms in fields["observables"]
    )
    return RunOptions(**fields)


def circuit_label(circuit: Circuit, source: str) -> str:
    """What a listing calls the circuit: its name, else where it came from."""
    return circuit.name or source or "circuit"
