import ast
import inspect
import textwrap
import typing

import pytest

from proxima import hookspecs
from proxima.plugins.manifest import KINDS

HOOKS = {name: each for name, each in vars(hookspecs).items() if name.startswith("proxima_")}


def test_there_is_one_hook_for_each_kind_and_two_that_tell():
    assert set(HOOKS) == {f"proxima_{kind}" for kind in KINDS} | {"proxima_run_finished", "proxima_kernel_closing"}


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_typed_and_has_an_example_that_implements_it(name):
    types = typing.get_type_hints(HOOKS[name], localns=every_contract())
    assert set(types) == {*inspect.signature(HOOKS[name]).parameters, "return"}
    example = textwrap.dedent(inspect.getdoc(HOOKS[name]).partition("Example::\n")[2])
    (cls,) = (node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.ClassDef))
    (method,) = (node for node in cls.body if isinstance(node, ast.FunctionDef))
    assert method.name == name
    assert [ast.unparse(decorator) for decorator in method.decorator_list] == ["hookimpl"]
    assert {arg.arg for arg in method.args.args} <= {"self", *types}
    written = inspect.signature(HOOKS[name]).return_annotation
    assert ast.unparse(method.returns) == written


def every_contract():
    from importlib import import_module

    tree = ast.parse(inspect.getsource(hookspecs))
    imports = [
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module.startswith("proxima")
    ]
    return {alias.name: getattr(import_module(node.module), alias.name) for node in imports for alias in node.names}
