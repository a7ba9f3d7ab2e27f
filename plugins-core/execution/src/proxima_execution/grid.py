"""The points of a sweep, from what a user writes: ``theta=0:3.14:200``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from proxima.errors import UsageError

MAX_POINTS = 10**6


def grid_of(texts: Sequence[str]) -> list[dict[str, float]]:
    """Every combination of the parameters' values, the last named changing fastest; one empty set where none is named.

    Args:
        texts: ``NAME=START:STOP:COUNT``, both ends among the values; ``NAME=A,B,...``; ``NAME=VALUE``.

    Raises:
        UsageError: A text is none of these, a name occurs twice, or there are more than `MAX_POINTS` points.

    >>> grid_of(["a=0:1:3", "b=7"])
    [{'a': 0.0, 'b': 7.0}, {'a': 0.5, 'b': 7.0}, {'a': 1.0, 'b': 7.0}]
    """
    axes: dict[str, list[float]] = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise UsageError(f"--param {text}: expected NAME=START:STOP:COUNT, NAME=A,B,... or NAME=VALUE")
        if name in axes:
            raise UsageError(f"--param {text}: {name} has values already", hint="list them in one: NAME=A,B,...")
        axes[name] = _values(text, values)
    if math.prod(map(len, axes.values())) > MAX_POINTS:
        raise UsageError(f"these are more than {MAX_POINTS:,} points", hint="sweep over fewer values")
    return [dict(zip(axes, point, strict=True)) for point in product(*axes.values())]


def _values(text: str, values: str) -> list[float]:
    try:
        if ":" not in values:
            found = [float(value) for value in values.split(",")]
        else:
            start, stop, count = values.split(":")
            if not 1 <= int(count) <= MAX_POINTS:
                raise UsageError(f"--param {text}: expected a count from 1 to {MAX_POINTS:,}")
            if not math.isfinite(float(stop) - float(start)):
                raise UsageError(f"--param {text}: expected finite numbers")
            found = np.linspace(float(start), float(stop), int(count)).tolist()
    except UsageError:
        raise
    except ValueError:
        raise UsageError(f"--param {text}: expected START:STOP:COUNT, A,B,... or a number after the =") from None
    if not all(map(math.isfinite, found)):
        raise UsageError(f"--param {text}: expected finite numbers")
    return found
