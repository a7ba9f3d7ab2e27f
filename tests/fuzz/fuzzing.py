"""Runs a target on many inputs, made by hypothesis: a few thousand with the tests, a million with `make fuzz`."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

INPUTS = int(os.environ.get("PROXIMA_FUZZ_INPUTS", "6000"))
"""Inputs of all targets together."""

SEED = int(os.environ.get("PROXIMA_FUZZ_SEED", "0"))

_CHUNK = 10_000  # hypothesis remembers what it has tried; this bounds how much that is
_BATCH = 50  # numbers that follow from one of hypothesis, which takes longer to draw it than most targets to run


def fuzz(share: float, target: Callable[[Any], None], inputs: st.SearchStrategy[Any] | None = None) -> int:
    """Calls a target with its share of `INPUTS` and prints how many that were.

    Args:
        share: Of `INPUTS`.
        target: Raises where something is wrong.
        inputs: What it is called with, which hypothesis shrinks. Without it the target gets numbers, and makes all the
            rest of each; the number of one that fails is in a note of its error.

    Returns:
        How many calls there were.
    """
    wanted, count, chunk = int(INPUTS * share), 0, 0
    batch = _BATCH if inputs is None else 1
    while count < wanted:

        @seed(SEED * 1_000_003 + chunk)
        @settings(
            max_examples=min(_CHUNK, -(-(wanted - count) // batch)),
            database=None,
            deadline=None,
            phases=(Phase.generate,) if inputs is None else (Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(st.integers(0, 2**64 - 1) if inputs is None else inputs)
        def call(value: Any) -> None:
            nonlocal count
            for each in (value,) if inputs is not None else range(value, value + _BATCH):
                count += 1
                try:
                    target(each)
                except Exception as error:
                    error.add_note(f"the input was {each!r}")
                    raise

        call()
        chunk += 1
    print(f"\n{target.__name__}: {count:,} inputs")
    return count


ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 5, 7, 64, 2**31, 2**63 - 1, -(2**63), 2**64 - 1, 0.0, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), "", "0", "$", "v", "\0", "ü", "x" * 70_000, b"", b"\xff" * 9, b"\0" * 600, [], [[]], {},
    [0, 4096, False], [1, 1 << 20, True], [None, None], {"$": None}, {"$": []}, {"$": "list", "v": [1]}, {"$": "set"},
    {"$": "dict", "v": [[[], 1]]}, {"$": "set", "v": [[1], {"$": "list", "v": []}]}, {"$": "int", "v": b"\xff" * 600},
    {"$": "int", "v": b"\x01" * 40}, {"$": "complex", "v": [0.0, 1.0]}, {"$": "bytes", "n": 8, "o": 0},
    {"$": "array", "d": "<f8", "s": [2], "b": bytes(16)}, {"$": "array", "d": "<c16", "s": [4], "o": 64},
    {"$": "array", "d": "|b1", "s": [2], "b": b"\x02\x03"}, {"$": "array", "d": "|O", "s": [1], "b": bytes(8)},
    {"$": "array", "d": "<f8", "s": [1 << 40, 1 << 40, 0], "b": b""}, {"$": "Circuit", "v": b"\x93NUMPY"},
]  # fmt: skip
"""Values that a careless reader takes for something else."""


def parts(value: Any) -> list[tuple[Any, Any]]:
    """Every place in plain data that can be changed: its container and its key."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            keys: list[Any] = list(range(len(each)))
        elif isinstance(each, dict):
            keys = list(each)
        else:
            continue
        found += [(each, key) for key in keys]
        waiting += [each[key] for key in keys]
    return found


def mutated(value: Any, rng: random.Random, others: list[Any]) -> Any:
    """Plain data with one to four of its places changed; ``value`` itself is changed, so give a copy."""
    holder = [value]
    for _ in range(rng.randint(1, 4)):
        places = parts(holder)
        container, key = rng.choice(places)
        match rng.randrange(6):
            case 0 | 1:
                container[key] = copy.deepcopy(rng.choice(ODD))
            case 2:  # what stands elsewhere
                other, at = rng.choice(places if rng.random() < 0.5 else parts([rng.choice(others)]))
                container[key] = copy.deepcopy(other[at])
            case 3 if container is not holder:
                del container[key]
            case 4 if isinstance(container, dict):
                container[rng.choice(["$", "extra", "v", "o", 1])] = container[key]
            case 4 if container is not holder:
                container.insert(key, container[key])
            case _:
                container[key] = _near(container[key], rng)
    return holder[0]


def _near(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool | None):
        return not value
    if isinstance(value, int):
        return rng.choice([value + 1, value - 1, -value, value * 2, value << 40, float(value % 2**60)])
    if isinstance(value, float):
        return rng.choice([-value, value * 1e300, int(value) if abs(value) < 1e15 else 0, str(value)])
    if isinstance(value, str | bytes):
        cut = rng.randint(0, len(value))
        return rng.choice([value[:cut], value + value[:cut], value[cut:] + value[:cut]])
    if isinstance(value, list):
        return rng.choice([value[::-1], value[1:], value * 2, {"$": "list", "v": value}])
    return rng.choice(
        [[list(pair) for pair in value.items()], {**value, "$": rng.choice(["Circuit", "array", "Plan", "dict"])}]
    )
