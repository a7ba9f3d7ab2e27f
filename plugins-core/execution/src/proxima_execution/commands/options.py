"""Command-line options that several commands share."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from proxima.contracts.circuit import Circuit
from proxima.contracts.execution import RunOptions
from proxima.contracts.result_json import MAX_ELEMENTS
from proxima.errors import UsageError


def add_run_options(parser: argparse.ArgumentParser, *, want: bool = True, sweep: bool = False) -> None:
    """Adds what says how a circuit is run, ``want``: what is wanted of it, and ``sweep``: several, at many points."""
    if sweep:
        parser.add_argument("file", metavar="FILE", nargs="+", help="circuit files; - is standard input")
    else:
        parser.add_argument("file", metavar="FILE", help="a circuit file, or - for standard input")
    parser.add_argument("--shots", type=int, metavar="N", help="samples to take (default 1024)")
    parser.add_argument("--seed", type=int, metavar="N", help="makes the samples reproducible")
    parser.add_argument("--precision", choices=("single", "double"), help="the least precision accepted")
    add_noise_option(parser)
    if want:
        parser.add_argument(
            "--want",
            action="append",
            metavar="WHAT",
            help='counts (default), samples, probabilities, statevector, density_matrix, expectation:"0.5*ZZI - XIX", '
            'gradient:"0.5*ZZI - XIX" by the open parameters; '
            "may be repeated or separated by commas",
        )
    parser.add_argument("--deadline", type=float, metavar="S", help="give up after so many seconds")
    parser.add_argument("--threads", type=int, metavar="N", help="the most threads to use (default: every core)")
    parser.add_argument(
        "--optimize", action="store_true", help="leave out gates that cancel, and fuse neighbours into matrices"
    )
    parser.add_argument("--method", metavar="NAME", help="the backend's simulation method, e.g. stabilizer")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUES" if sweep else "NAME=VALUE",
        help="values for an open parameter: START:STOP:COUNT, both ends included, A,B,... or one; may be repeated, "
        "for every combination"
        if sweep
        else "a value for an open parameter",
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the backend's own"
    )


def add_executor_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--executor``."""
    parser.add_argument(
        "--executor",
        default="local",
        metavar="WHERE",
        help="local (default: this process); dask: processes on this machine; dask://HOST:PORT: a Dask cluster",
    )


def add_noise_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--noise``."""
    parser.add_argument(
        "--noise",
        metavar="NOISE",
        help="e.g. depolarizing:0.01,readout:0.02 (on each qubit a gate touches, after each gate), or a file that ends "
        "in .json: Proxima's own, or Qiskit Aer's",
    )


def run_options(args: argparse.Namespace, **more: Any) -> RunOptions:
    """The options that the arguments give.

    Raises:
        UsageError: One is wrong.
    """
    wants = [part.strip() for text in getattr(args, "want", None) or ["counts"] for part in text.split(",")]
    options = dict(_pair("--option", text) for text in args.option)
    if args.method is not None:
        options["method"] = args.method
    return RunOptions.parse(
        want=wants,
        noise=args.noise,
        shots=args.shots,
        seed=args.seed,
        precision=args.precision,
        deadline=args.deadline,
        threads=args.threads,
        optimize=args.optimize,
        parameters={} if isinstance(args.file, list) else _numbers(args.param),
        options=options,
        **more,
    )


def refuse_large(circuit: Circuit, options: RunOptions) -> None:
    """Refuses, before the run rather than after it, what JSON cannot hold.

    Raises:
        UsageError: An array that is wanted has more than `MAX_ELEMENTS` elements.
    """
    n = circuit.num_qubits
    sizes = {
        "statevector": 2**n,
        "probabilities": 2**n,
        "density_matrix": 4**n,
        "samples": options.shots * (circuit.num_clbits or n),
    }
    for want in options.wants:
        if sizes.get(want, 0) > MAX_ELEMENTS:
            raise UsageError(
                f"the {want.replace('_', ' ')} has {sizes[want]:,} elements; JSON takes at most {MAX_ELEMENTS:,}",
                hint="run without --json and export the stored array: `proxima results export ID --format npy`",
            )


def names_of(text: str | None) -> list[str]:
    """The names in a list that is separated by commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _numbers(pairs: Sequence[str]) -> dict[str, float]:
    values: dict[str, float] = {}
    for text in pairs:
        name, value = _pair("--param", text)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"--param {text}: expected NAME=NUMBER")
        values[name] = float(value)
    return values


def _pair(option: str, text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{option} {text}: expected NAME=VALUE")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value
