"""``proxima use``: what plugins contribute, used from a terminal: tools, algorithms, pictures, source code and more."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from proxima.cli.output import ProgressLine, clean, print_json, table, wrap
from proxima.errors import NotFoundError, UsageError
from proxima.nearest import did_you_mean
from proxima.schema import mistake
from proxima.settings import from_text

if TYPE_CHECKING:
    from proxima.kernel import Kernel

EPILOG = """\
examples:
  proxima use                                     what there is to use
  proxima use tool circuit-facts file=bell.qasm
  proxima use algorithm qaoa maxcut.qasm -p steps=50
  proxima use visualization counts bell.qasm -o bell.svg
  proxima use codegen cirq-python bell.qasm
  proxima use view backend-table
"""

KINDS = {
    "tool": ("tools", "call a tool"),
    "algorithm": ("algorithms", "run an algorithm on a circuit"),
    "visualization": ("visualizations", "draw a circuit, or the result of running it"),
    "codegen": ("codegens", "write a circuit as source code"),
    "view": ("views", "show a view, or perform one of its actions"),
    "agent": ("agents", "have an agent pursue a goal"),
    "llm": ("llm_providers", "ask a language model"),
}
"""A kind as it is written, to the kind of contribution and what is done with it."""


class UseCommand:
    """``proxima use``."""

    name = "use"
    summary = "Use what plugins contribute: tools, algorithms, pictures, source code, views, agents"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds a subcommand per kind."""
        parser.epilog = EPILOG
        parser.add_argument("--json", action="store_true", help="print JSON")
        kinds = parser.add_subparsers(dest="kind", metavar="KIND")
        for kind, (_, summary) in KINDS.items():
            one = kinds.add_parser(kind, help=summary, description=summary)
            one.add_argument("name", nargs="?", help="which one; without it, they are listed")
            # A flag given before the subcommand must not be lost to the subparser's own default.
            one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
            match kind:
                case "tool":
                    one.add_argument("arguments", nargs="*", metavar="KEY=VALUE", help="arguments by the tool's schema")
                    one.add_argument("--args", metavar="JSON", help="all arguments as one JSON object")
                    one.add_argument("--schema", action="store_true", help="print what the tool takes")
                case "algorithm":
                    one.add_argument("file", nargs="?", metavar="FILE", help="a circuit file")
                    about = "one of the algorithm's parameters; may be given several times"
                    one.add_argument("-p", "--param", action="append", default=[], metavar="KEY=VALUE", help=about)
                case "visualization":
                    one.add_argument(
                        "file", nargs="?", metavar="FILE", help="a circuit file, or the id of a stored run"
                    )
                    one.add_argument("-o", "--output", metavar="FILE", help="its ending says the format, e.g. bell.svg")
                    one.add_argument("--result", action="store_true", help="run the circuit, and draw the result")
                    about = "one of the picture's options; may be given several times"
                    one.add_argument("-p", "--param", action="append", default=[], metavar="KEY=VALUE", help=about)
                case "codegen":
                    one.add_argument("file", nargs="?", metavar="FILE", help="a circuit file")
                case "view":
                    one.add_argument("action", nargs="?", metavar="ACTION", help="one of the view's actions")
                    one.add_argument("arguments", nargs="*", metavar="KEY=VALUE", help="the values of its form")
                case "agent":
                    one.add_argument("goal", nargs="?", metavar="GOAL", help="what it shall reach, in words")
                case "llm":
                    one.add_argument("prompt", nargs="?", metavar="PROMPT", help="without it, the models are listed")
                    one.add_argument("--model", help="default: the provider's first")

    def run(self, args: argparse.Namespace, kernel: Kernel) -> int:
        """Uses it, or lists what there is."""
        if args.kind is None or args.name is None:
            return _list(kernel, args.kind, args.json)
        used = kernel.get(KINDS[args.kind][0], args.name)
        return _USES[args.kind](args, kernel, used)


def _list(kernel: Kernel, kind: str | None, as_json: bool) -> int:
    found = [
        {"kind": each, "name": c.name, "plugin": c.plugin, "description": c.description}
        for each, (kinds, _) in KINDS.items()
        if kind in (None, each)
        for c in kernel.contributions(kinds)
    ]
    if as_json:
        print_json(found)
    elif found:
        rows = [(f["kind"], f["name"], f["plugin"], f["description"]) for f in found]
        print(table(("KIND", "NAME", "PLUGIN", "ABOUT"), rows))
    else:
        print(f"No plugin with {'anything' if kind is None else f'a {kind}'} to use is installed.")
    return 0


def _tool(args: argparse.Namespace, kernel: Kernel, tool: Any) -> int:
    definition = tool.definition()
    if args.schema:
        print_json({"description": definition.description, "parameters": definition.parameters})
        return 0
    arguments = _pairs(args.arguments)
    if args.args is not None:
        try:
            given = json.loads(args.args)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"--args: not JSON: {error}") from None
        if not isinstance(given, dict):
            raise UsageError("--args: expected a JSON object")
        arguments = given | arguments
    if wrong := mistake(arguments, definition.parameters, f"what tool {args.name} says that it takes"):
        hint = f"`proxima use tool {args.name} --schema` says what it takes"
        raise UsageError(f"tool {args.name}: arguments{wrong.path}: {wrong.message}", hint=hint)
    result = tool.call(arguments)
    if args.json:
        print_json({"text": result.text, "data": _plain(result.data), "failed": result.failed})
    else:
        _say(result.text)
    return 1 if result.failed else 0


def _algorithm(args: argparse.Namespace, kernel: Kernel, algorithm: Any) -> int:
    from proxima.contracts.backend import CancelToken

    circuit = kernel.load(_needed(args.file, "the file of a circuit"))
    params = dict(algorithm.default_params())
    given = _pairs(args.param)
    for name in given:
        if name not in params:
            hint = did_you_mean(name, params) or f"it has: {', '.join(params) or 'none'}"
            raise UsageError(f"algorithm {args.name} has no parameter {name!r}", hint=hint)
    with ProgressLine() as progress:
        result = algorithm.execute(circuit, params | given, cancel=CancelToken(), progress=progress)
    if args.json:
        print_json({"value": result.value, "details": _plain(result.details), "history": list(result.history)})
        return 0
    print(f"{'value':<16}{result.value:.12g}")
    for key, value in result.details.items():
        print(f"{clean(key):<16}{clean(value)}")
    if result.history:
        print(f"{'iterations':<16}{len(result.history)}, from {result.history[0]:.6g} to {result.history[-1]:.6g}")
    return 0


def _visualization(args: argparse.Namespace, kernel: Kernel, visualization: Any) -> int:
    from proxima.storage import write_atomic

    source = _needed(args.file, "a circuit file, or the id of a stored run")
    output = _needed(args.output, "where to, e.g. -o picture.svg")
    picture_format = os.path.splitext(output)[1].lstrip(".").lower()
    if picture_format not in visualization.formats:
        hint = f"end the file's name in one of: {', '.join(f'.{each}' for each in visualization.formats)}"
        raise UsageError(f"{args.name} does not draw {picture_format or 'files without an ending'}", hint=hint)
    picture = visualization.render(_subject(source, args.result, kernel), picture_format, _pairs(args.param))
    kernel.permissions.use("use", f"file_write:{os.path.abspath(output)}", target=output)
    write_atomic(output, picture)
    if args.json:
        print_json({"file": os.path.abspath(output), "bytes": len(picture)})
    else:
        print(f"wrote {clean(output)} ({len(picture)} bytes)")
    return 0


def _subject(source: str, run_it: bool, kernel: Kernel) -> Any:
    """A circuit, or a result: of a run now, or of a stored one."""
    from proxima.contracts.records import ResultStore

    if os.path.exists(source):
        return kernel.run(source) if run_it else kernel.load(source)
    store = kernel.services.get(ResultStore)
    if store is None:
        raise NotFoundError(f"there is no file {source}")
    return store.get(source).result


def _codegen(args: argparse.Namespace, kernel: Kernel, codegen: Any) -> int:
    code = codegen.generate(kernel.load(_needed(args.file, "the file of a circuit")))
    if args.json:
        print_json({"language": codegen.language, "library": codegen.library, "code": code})
    else:
        _say(code)
    return 0


def _view(args: argparse.Namespace, kernel: Kernel, view: Any) -> int:
    group = view.act(args.action, _pairs(args.arguments)) if args.action else view.show()
    if args.json:
        print_json(_plain(group))
    else:
        print("\n".join(_lines(group)))
    return 0


def _lines(part: Any) -> list[str]:
    """A view's parts as text."""
    from proxima.contracts.view import Action, Form, Group, Plot, Table, Text

    match part:
        case Text():
            return [wrap(line) for line in part.text.splitlines()]
        case Table():
            return table(part.headings, part.rows).splitlines()
        case Plot():
            headings = (part.x_label or "x", *part.series)
            return table(headings, list(zip(part.x, *part.series.values(), strict=True))).splitlines()
        case Form():
            return [clean(f"form {part.action}: {', '.join(part.schema.get('properties', {}))}")]
        case Action():
            return [clean(f"action {part.name}: {part.label}")]
        case Group():
            inside = [line for each in part.parts for line in _lines(each)]
            return [clean(part.title), "-" * len(clean(part.title)), *inside] if part.title else inside
    raise UsageError(f"the view holds {type(part).__name__}, which is no part of a view")


def _agent(args: argparse.Namespace, kernel: Kernel, agent: Any) -> int:
    from proxima.contracts.backend import CancelToken

    goal = _needed(args.goal, "a goal")

    async def pursue() -> list[Any]:
        steps = []
        async for step in agent.pursue(goal, cancel=CancelToken()):
            steps.append(step)
            if not args.json:
                _say(step.text if step.kind == "text" else f"[{step.kind}] {step.text}")
        return steps

    steps = asyncio.run(pursue())
    if args.json:
        print_json([{"kind": s.kind, "text": s.text, "data": _plain(s.data)} for s in steps])
    return 1 if steps and steps[-1].kind == "error" else 0


def _llm(args: argparse.Namespace, kernel: Kernel, provider: Any) -> int:
    from proxima.contracts.llm import ChatMessage

    models = list(provider.models())
    if args.prompt is None:
        if args.json:
            print_json(models)
        else:
            _say("\n".join(models))
        return 0
    model = args.model or (models[0] if models else "")
    if model not in models:
        hint = did_you_mean(model, models) or f"it offers: {', '.join(models) or 'none'}"
        raise NotFoundError(f"{args.name} has no model {model!r}", hint=hint)

    async def chat() -> str:
        reply = ""
        async for chunk in provider.chat(model, [ChatMessage("user", args.prompt)]):
            reply += chunk.text
            if not args.json:
                sys.stdout.write("\n".join(clean(line) for line in chunk.text.split("\n")))
                sys.stdout.flush()
        return reply

    reply = asyncio.run(chat())
    if args.json:
        print_json({"model": model, "reply": reply})
    else:
        print()
    return 0


_USES: Mapping[str, Callable[[argparse.Namespace, Kernel, Any], int]] = {
    "tool": _tool,
    "algorithm": _algorithm,
    "visualization": _visualization,
    "codegen": _codegen,
    "view": _view,
    "agent": _agent,
    "llm": _llm,
}


def _needed(value: str | None, what: str) -> str:
    if not value:
        raise UsageError(f"missing: {what}", hint="see `proxima use --help`")
    return value


def _pairs(words: Sequence[str]) -> dict[str, object]:
    """``key=value`` words; a value is read as TOML where it is some (4, true, [1, 2]), else it is text."""
    pairs: dict[str, object] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise UsageError(f"{word}: expected KEY=VALUE")
        pairs[key] = from_text(value)
    return pairs


def _say(text: str) -> None:
    print("\n".join(clean(line) for line in text.splitlines()))


def _plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
        return {"is": type(value).__name__.lower(), **parts}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, int | str) else str(value)
