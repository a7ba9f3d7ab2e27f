"""OpenQASM 3 text to syntax tree, by the ``openqasm3`` package's parser, with errors that say where."""

from __future__ import annotations

import re
from typing import Any

from antlr4 import CommonTokenStream, InputStream
from antlr4.error.ErrorListener import ErrorListener
from openqasm3 import ast
from openqasm3 import parser as openqasm3_parser

from proxima.errors import CircuitSyntaxError
from proxima_format_openqasm.source import Source

MAX_BYTES = 4 * 1024 * 1024
"""Largest OpenQASM 3 file: its parser needs about a minute for each mebibyte."""

_PLACE = re.compile(r"L(\d+):C(\d+): (.*)", re.DOTALL)


def parse(source: Source) -> ast.Program:
    """The syntax tree.

    Raises:
        CircuitSyntaxError: The text is not OpenQASM 3.
    """
    listener = _Listener(source.path)
    # As `openqasm3.parse` does, but with a listener that keeps position and token instead of printing.
    grammar: Any = openqasm3_parser
    lexer = grammar.qasm3Lexer(InputStream(source.text))
    parser = grammar.qasm3Parser(CommonTokenStream(lexer))
    for recogniser in (lexer, parser):
        recogniser.removeErrorListeners()
        recogniser.addErrorListener(listener)
    try:
        tree = parser.program()
        if tree.stop is None:
            raise source.error("the file holds no statement, only comments", 0)
        program: ast.Program = grammar.QASMNodeVisitor().visitProgram(tree)
    except openqasm3_parser.QASM3ParsingError as error:
        place = _PLACE.match(str(error))
        line, column, message = place.groups() if place else ("1", "0", str(error))
        raise CircuitSyntaxError(message, path=source.path, line=int(line), column=int(column) + 1) from None
    return program


class _Listener(ErrorListener):  # type: ignore[misc]  # the runtime carries no types
    def __init__(self, path: str) -> None:
        self.path = path

    def syntaxError(  # noqa: N802 - the runtime's name
        self, recognizer: Any, offending: Any, line: int, column: int, message: str, error: Any
    ) -> None:
        token = "" if offending is None else offending.text
        if token == "<EOF>":
            message, token = f"the file ends too early: {message}", ""
        raise CircuitSyntaxError(message[:300], path=self.path, line=line, column=column + 1, token=token[:40])


def located(
    message: str, node: ast.QASMNode, path: str, token: str = "", *, hint: str | None = None
) -> CircuitSyntaxError:
    """The error for a node of the tree."""
    span = node.span
    line, column = (span.start_line, span.start_column + 1) if span else (1, 1)
    return CircuitSyntaxError(message, path=path, line=line, column=column, token=token, hint=hint)
