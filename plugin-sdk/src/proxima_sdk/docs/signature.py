"""`signature`: a definition as those see it who use it, from its syntax tree alone."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Assignment = ast.Assign | ast.AnnAssign

_NOTHING = ":\n    ..."
_LONGEST_VALUE = 60
_WITHOUT_FIELDS = ("ABC", "Generic", "NamedTuple", "Protocol", "object")


def signature(node: Definition, classes: Mapping[str, ast.ClassDef], *, method: bool) -> str:
    """Decorators, name, bases or arguments; of a class also its public attributes, and how an object is made.

    Args:
        node: The class or function.
        classes: Those of its module, from which a dataclass may inherit fields.
        method: Whether it is a class's own function.
    """
    made = _constructor(node, classes) if isinstance(node, ast.ClassDef) else None
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
    if node.value is None or len(ast.unparse(node.value)) <= _LONGEST_VALUE:
        return node
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


@dataclass(frozen=True, slots=True)
class _Field:
    argument: ast.arg
    default: ast.expr | None
    by_name: bool


def _constructor(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> ast.arguments | None:
    """What an object is made from; None where the class does not say so, or a base that is not in the module may."""
    init = next((each for each in node.body if isinstance(each, Function) and each.name == "__init__"), None)
    if init is not None:
        return _bound(init)
    made = _made_by(node)
    fields = None if made is None or _is(False, made.get("init")) else _fields(node, classes)
    if fields is None:
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


def _fields(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> dict[str, _Field] | None:
    """Those of the class and of its bases; None where a base is not in the module."""
    fields: dict[str, _Field] = {}
    others = {name: each for name, each in classes.items() if each.name != node.name}
    for base in reversed(node.bases):
        name = _last_name(base)
        inherited = _fields(others[name], others) if name in others else {} if name in _WITHOUT_FIELDS else None
        if inherited is None:
            return None
        fields |= inherited
    made = _made_by(node)
    return fields if made is None else fields | dict(_own_fields(node, _is(True, made.get("kw_only"))))


def _own_fields(node: ast.ClassDef, by_name: bool) -> Iterator[tuple[str, _Field]]:
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
            yield each.target.id, _Field(argument, default if called else each.value, named)


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
