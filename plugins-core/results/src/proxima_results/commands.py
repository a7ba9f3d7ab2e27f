"""``proxima results``: list, show, export, delete and rerun what was stored."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from proxima.cli.output import (
    ProgressLine,
    clean,
    format_seconds,
    histogram,
    print_json,
    table,
    terminal_width,
)
from proxima.contracts.execution import Execution
from proxima.contracts.records import RecordSummary, ResultStore, RunRecord
from proxima.errors import StorageError, UsageError
from proxima_results.export import FORMATS, record_to_dict, to_csv, to_npy
from proxima_results.rerun import rerun

if TYPE_CHECKING:
    from proxima.kernel import Kernel

_SHORTEST_NAME = 7  # columns; as wide as its header


class ResultsCommand:
    """``proxima results list|show|export|delete|rerun``."""

    name = "results"
    summary = "List, show, export, delete and rerun stored results"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the subcommands."""
        parser.description = "What earlier runs gave. An ID may be shortened to its first letters."
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        listing = actions.add_parser("list", help="the newest runs first")
        listing.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default 20)")
        listing.add_argument("--backend", metavar="NAME", help="only those of one backend")
        listing.add_argument("--json", action="store_true", help="print JSON")
        show = actions.add_parser("show", help="one run with its counts")
        show.add_argument("id", metavar="ID", help="as `results list` shows it, its beginning, or last")
        show.add_argument("--json", action="store_true", help="print JSON")
        export = actions.add_parser("export", help="write one run to a file")
        export.add_argument("id", metavar="ID", help="as `results list` shows it, its beginning, or last")
        export.add_argument("--format", choices=FORMATS, default="json", help="default json; npy holds one array")
        export.add_argument("--array", metavar="NAME", help="which array, for npy")
        export.add_argument("-o", "--output", metavar="FILE", help="default: standard output")
        delete = actions.add_parser("delete", help="remove one run")
        delete.add_argument("id", metavar="ID", help="as `results list` shows it, its beginning, or last")
        delete.add_argument("--yes", action="store_true", help="do not ask")
        delete.add_argument("--json", action="store_true", help="print JSON")
        again = actions.add_parser("rerun", help="run it again as recorded, and compare")
        again.add_argument("id", metavar="ID", help="as `results list` shows it, its beginning, or last")
        again.add_argument("--json", action="store_true", help="print JSON")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Does what was asked; 1 where a rerun gave other counts or a deletion was declined."""
        store = kernel.services.require(ResultStore)
        match args.action:
            case "list":
                return _list(store, args)
            case "show":
                return _show(store.get(args.id), args.json)
            case "export":
                return _export(store.get(args.id), args, kernel)
            case "delete":
                return _delete(store, args)
        return _rerun(store.get(args.id), args.json, kernel)


def _list(store: ResultStore, args: argparse.Namespace) -> int:
    if args.limit < 1:
        raise UsageError(f"--limit {args.limit}: expected a number from 1")
    records = store.list(limit=args.limit, backend=args.backend)
    if args.json:
        fields = ("id", "created", "circuit", "num_qubits", "backend", "shots", "seconds")
        print_json([{name: getattr(record, name) for name in fields} for record in records])
        return 0
    if not records:
        print("no results are stored" if args.backend is None else f"no results of {clean(args.backend)} are stored")
        return 0
    text = _listing(records, sys.maxsize)
    over = max(map(len, text.splitlines())) - terminal_width()
    if over > 0:  # ids are there to be copied, so the circuits' names give way
        text = _listing(records, max(max(len(clean(r.circuit)) for r in records) - over, _SHORTEST_NAME))
    print(text)
    return 0


def _listing(records: Sequence[RecordSummary], name_width: int) -> str:
    rows = [
        (r.id, _when(r.created), _cut(clean(r.circuit), name_width), r.num_qubits, r.backend, r.shots or "",
         format_seconds(r.seconds))
        for r in records
    ]  # fmt: skip
    return table(("id", "when", "circuit", "qubits", "backend", "shots", "took"), rows, sys.maxsize)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 2] + ".."


def _when(created: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(created))


def _show(record: RunRecord, as_json: bool) -> int:
    if as_json:
        print_json(record_to_dict(record))
        return 0
    result = record.result
    facts = [
        ("id", record.id),
        ("when", _when(record.created)),
        ("circuit", f"{record.circuit.name or record.source or 'circuit'}, {record.circuit.num_qubits} qubits"),
        ("source", record.source),
        ("backend", f"{result.backend} ({result.method}, {result.precision} precision)"),
        ("ran", f"in a worker at tier {result.tier}" if result.tier else ""),
        ("why", result.selection.reason if result.selection else ""),
        ("noise", _cut(str(record.options.noise or ""), 200)),
        ("shots", "" if result.shots is None else result.shots),
        ("seed", result.seed),
        ("took", format_seconds(result.timings.get("total", 0.0))),
        ("versions", ", ".join(f"{name} {version}" for name, version in result.versions.items())),
        ("notes", " ".join(result.notes)),
    ]
    print("\n".join(f"{name:<9} {clean(value)}" for name, value in facts if value != ""))
    for expectation in result.expectations:
        print(f"<{clean(expectation.observable)}> = {expectation.value:.8g} +- {expectation.standard_error:.2g}")
    for gradient in result.gradients:
        pairs = zip(gradient.parameters, gradient.values.tolist(), strict=True)
        print(f"gradient of <{clean(gradient.observable)}> ({clean(gradient.method)})")
        print("\n".join(f"  {clean(name)}  {value:.8g}" for name, value in pairs))
    for name in ("samples", "statevector", "density_matrix", "probabilities"):
        array = getattr(result, name)
        if array is not None:
            print(f"{name}: shape {array.shape}, {array.dtype} (`proxima results export {record.id} --format npy`)")
    if result.counts is not None:
        print()
        print(histogram(result.counts))
    return 0


def _export(record: RunRecord, args: argparse.Namespace, kernel: Kernel) -> int:
    data: str | bytes
    if args.format == "npy":
        data = to_npy(record.result, args.array)
    elif args.format == "csv":
        data = to_csv(record.result)
    else:
        data = json.dumps(record_to_dict(record), indent=2) + "\n"
    if args.output is not None:
        from proxima.storage import write_atomic

        kernel.permissions.use("results", f"file_write:{os.path.abspath(args.output)}", target=args.output)
        write_atomic(args.output, data)
    elif isinstance(data, bytes):
        if sys.stdout.isatty():
            raise UsageError("npy is binary and would garble the terminal", hint="name a file with -o FILE")
        sys.stdout.buffer.write(data)
    else:
        sys.stdout.write(data)
    return 0


def _delete(store: ResultStore, args: argparse.Namespace) -> int:
    try:
        record = store.get(args.id)
    except StorageError as error:
        # A damaged record cannot be read, and deleting it is the way to be rid of it.
        record_id, what = args.id, str(error)
    else:
        record_id = record.id
        what = f"{record.id} ({record.circuit.name or record.source or 'circuit'} on {record.result.backend})"
    if not args.yes:
        if not sys.stdin.isatty():
            raise UsageError("deleting asks for confirmation, and there is no terminal to ask", hint="add --yes")
        if input(f"delete {clean(what)}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was deleted")
            return 1
    store.delete(record_id)
    if args.json:
        print_json({"deleted": record_id})
    else:
        print(f"deleted {clean(record_id)}")
    return 0


def _rerun(record: RunRecord, as_json: bool, kernel: Kernel) -> int:
    execution = kernel.services.require(Execution)
    with ProgressLine() as progress:
        outcome = rerun(record, execution, progress)
    if as_json:
        from proxima.contracts.result_json import result_to_dict

        data: dict[str, Any] = result_to_dict(outcome.result)
        print_json({"rerun_of": record.id, "identical": outcome.identical, "changes": list(outcome.changes), **data})
    else:
        new = replace(record, id=outcome.result.id or "(not stored)", result=outcome.result, created=time.time())
        for change in outcome.changes:
            print(f"warning: {clean(change)}", file=sys.stderr)
        _show(new, as_json=False)
        print()
        told = "identical to" if outcome.identical else "different from"
        print(f"the results are {told} those of {record.id}")
    return 0 if outcome.identical else 1
