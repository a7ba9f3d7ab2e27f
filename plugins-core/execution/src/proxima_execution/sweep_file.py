"""The file that a sweep writes each result to as it comes, and goes on from after an interruption.

Text, one JSON document a line. The first says which sweep it is; each other is a point: its number, its circuit's name,
its parameters and its result. A last line that was cut short is dropped and its point run again.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from proxima.contracts.result import RunResult
from proxima.contracts.result_json import result_from_dict, result_to_dict
from proxima.errors import StorageError, UsageError

FORMAT = 1


class SweepFile:
    """A sweep's file, open for appending.

    Attributes:
        results: Those that it held when it was opened, by number of point.
    """

    def __init__(self, file: TextIO, results: Mapping[int, RunResult]) -> None:
        self._file = file
        self.results = results

    def add(self, number: int, told: Mapping[str, Any], result: RunResult) -> None:
        """Writes a point; it is in the file when this returns.

        Args:
            number: Of the point.
            told: What the line says of the point besides its number and result.
            result: Its arrays have at most `MAX_ELEMENTS` elements each.

        Raises:
            StorageError: It cannot be written.
        """
        line = json.dumps({"point": number, **told, "result": result_to_dict(result)}, separators=(",", ":"))
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise StorageError(f"{self._file.name}: {error.strerror}; the points before are in it") from error


def read_sweep(path: str) -> tuple[dict[str, Any], dict[int, RunResult], int]:
    """Which sweep a file is of, the results in it, and how many of its bytes are whole lines.

    Raises:
        UsageError: It is not a sweep's file, or a line in it is damaged.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read()
    whole = data.rfind(b"\n") + 1
    results: dict[int, RunResult] = {}
    head: dict[str, Any] = {}
    for number, line in enumerate(data[:whole].splitlines()):
        try:
            entry = json.loads(line)
            if number == 0:
                head = dict(entry["sweep"])
                if head["format"] != FORMAT:
                    raise ValueError(f"format {head['format']!r}, expected {FORMAT}")
            else:
                results[int(entry["point"])] = result_from_dict(entry["result"])
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise UsageError(
                f"{path}, line {number + 1}: this is not a sweep's file: {error}", hint="name another --output"
            ) from None
    return head, results, whole


def check_same(path: str, head: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raises `UsageError`, naming what differs, where a file is of another sweep than the one asked for."""
    differing = sorted(name for name in {*head, *asked} if head.get(name) != asked.get(name))
    if differing:
        raise UsageError(
            f"{path} is of another sweep: it differs in {', '.join(differing)}",
            hint="name another --output, or repeat the command that it was begun with",
        )


def seed_in(path: str) -> int:
    """The seed of the sweep that a file is of; a new one where there is no file yet.

    Raises:
        UsageError: It is not a sweep's file.
        StorageError: It cannot be read.
    """
    try:
        head = read_sweep(path)[0]
    except FileNotFoundError:
        head = {}
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="name a file that can be written") from error
    seed = head.get("seed")
    return seed if isinstance(seed, int) else secrets.randbits(63)


@contextmanager
def sweep_file(path: str, head: Mapping[str, Any]) -> Iterator[SweepFile]:
    """The file at a path, new or with what an earlier attempt at the same sweep left in it.

    Raises:
        UsageError: It is a file of another sweep, or of something else.
        StorageError: It cannot be read or written.
    """
    try:
        results: dict[int, RunResult] = {}
        whole = 0
        if os.path.exists(path):
            found, results, whole = read_sweep(path)
            if not whole and os.path.getsize(path):
                raise UsageError(f"{path} exists and is not a sweep's file", hint="name another --output")
            if results:
                check_same(path, found, head)
            else:
                whole = 0  # nothing came of it, and the next attempt may be another
        with open(path, "a", encoding="ascii") as file:
            file.truncate(whole)
            if not whole:
                file.write(json.dumps({"sweep": dict(head)}, separators=(",", ":")) + "\n")
                file.flush()
            yield SweepFile(file, results)
    except OSError as error:
        if isinstance(error, StorageError) or error.filename is None:
            raise
        raise StorageError(f"{path}: {error.strerror}", hint="name a file that can be written") from error
