"""`signature`: a definition as those see it who use it, from its syntax tree alone."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Assignment = ast.Assign | ast.AnnAssign

_NOTHING = ":\n    ..."
_LONGEST_VALUE = 60
_WITHOUT_FIELDS = ("ABC", "Generic", "NamedTuple", "Protocol", "object")


@dataclass(frozen=True, slots=True)
class Field:
    """One of a dataclass: the argument of its constructor, and whether that is given by name only."""

    argument: ast.arg
    default: ast.expr | None
    by_name: bool


Fields = Mapping[str, Field]


def fields_of(body: Iterable[ast.stmt]) -> dict[ast.ClassDef, Fields | None]:
    """The fields of a module's classes, those of bases included; None where a base is not in the module."""
    found: dict[ast.ClassDef, Fields | None] = {}
    named: dict[str, Fields | None] = {name: {} for name in _WITHOUT_FIELDS}
    for node in (each for each in body if isinstance(each, ast.ClassDef)):
        fields: dict[str, Field] | None = {}
        for base in reversed(node.bases):
            inherited = named.get(_last_name(base))
            fields = None if fields is None or inherited is None else fields | dict(inherited)
        if fields is not None and (made := _made_by(node)) is not None:
            fields |= dict(_own_fields(node, _is(True, made.get("kw_only"))))
        found[node] = named[node.name] = fields
    return found


def signature(node: Definition, fields: Mapping[ast.ClassDef, Fields | None], *, method: bool) -> str:
    """Decorators, name, bases or arguments; of a class also its public attributes, and how an object is made.

    Args:
        node: The class or function.
        fields: Of the module's classes.
        method: Whether it is a class's own function.
    """
    made = _constructor(node, fields.get(node)) if isinstance(node, ast.ClassDef) else None
    shown = copy.copy(node)
    shown.body = [ast.Expr(ast.Constant(...))]
    if isinstance(shown, ast.ClassDef):
        public = [each for each in node.body if isinstance(each, Assignment) and not target(each).startswith("_")]
        shown.body = [shortened(each) for each in public] or shown.body
    elif method:
        shown.args = _bound(shown)
    text = ast.unparse(shown).removesuffix(_NOTHING)
    return text if made is None else f"{text}\n\n{shown.name}({ast.unparse(made)})"


def target(node: Assignment) -> str:
    """The name that is assigned to; an underscore where it is no name."""
    to = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    return to.id if isinstance(to, ast.Name) else "_"


def shortened(node: Assignment) -> Assignment:
    """The assignment, with an ellipsis in the place of a long value."""
    try:
        if node.value is None or len(ast.unparse(node.value)) <= _LONGEST_VALUE:
            return node
    except RecursionError:  # a sum of a thousand terms
        pass
    short = copy.copy(node)
    short.value = ast.Constant(...)
    return short


def _bound(method: Function) -> ast.arguments:
    """The arguments without the object or class that the method is called on."""
    args = copy.copy(method.args)
    if any(_last_name(each) == "staticmethod" for each in method.decorator_list):
        return args
    if len(args.defaults) == len(args.posonlyargs) + len(args.args):
        args.defaults = args.defaults[1:]
    if args.posonlyargs:
        args.posonlyargs = args.posonlyargs[1:]
    else:
        args.args = args.args[1:]
    return args


def _constructor(node: ast.ClassDef, fields: Fields | None) -> ast.arguments | None:
    """What an object is made from; None where the class does not say so, or a base that is not in the module may."""
    init = next((each for each in node.body if isinstance(each, Function) and each.name == "__init__"), None)
    if init is not None:
        return _bound(init)
    made = _made_by(node)
    if made is None or fields is None or _is(False, made.get("init")):
        return None
    places = [field for field in fields.values() if not field.by_name]
    names = [field for field in fields.values() if field.by_name]
    return ast.arguments(
        posonlyargs=[],
        args=[field.argument for field in places],
        defaults=[field.default for field in places if field.default is not None],
        kwonlyargs=[field.argument for field in names],
        kw_defaults=[field.default for field in names],
    )


def _own_fields(node: ast.ClassDef, by_name: bool) -> Iterator[tuple[str, Field]]:
    for each in node.body:
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        kind = _last_name(each.annotation)
        if kind == "KW_ONLY":
            by_name = True
        elif kind != "ClassVar":
            called = isinstance(each.value, ast.Call) and _last_name(each.value) == "field"
            given = _keywords(each.value) if called else {}
            if _is(False, given.get("init")):
                continue
            default = given.get("default", ast.Constant(...) if "default_factory" in given else None)
            annotation = each.annotation
            if kind == "InitVar" and isinstance(annotation, ast.Subscript):
                annotation = annotation.slice
            named = _is(True, given["kw_only"]) if "kw_only" in given else by_name
            argument = ast.arg(each.target.id, annotation)
            yield each.target.id, Field(argument, default if called else each.value, named)


def _made_by(node: ast.ClassDef) -> dict[str, ast.expr] | None:
    """What ``dataclass`` is called with; nothing for a named tuple, None for a class that is neither."""
    for each in node.decorator_list:
        if _last_name(each) == "dataclass":
            return _keywords(each)
    return {} if any(_last_name(base) == "NamedTuple" for base in node.bases) else None


def _keywords(node: ast.expr | None) -> dict[str, ast.expr]:
    return {each.arg: each.value for each in node.keywords if each.arg} if isinstance(node, ast.Call) else {}


def _is(value: bool, node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _last_name(node: ast.expr) -> str:
    """``c`` of ``a.b.c[d](e)``."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
