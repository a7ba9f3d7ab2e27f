"""Proxima's OpenQASM 2 and OpenQASM 3 reader and writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.hookspecs import hookimpl

if TYPE_CHECKING:
    from proxima.contracts.formats import CircuitFormat


class Plugin:
    """Contributes the circuit formats ``openqasm2`` and ``openqasm3``."""

    @hookimpl
    def proxima_formats(self) -> list[CircuitFormat]:
        """The formats."""
        from proxima_format_openqasm.formats import OpenQasm2, OpenQasm3

        return [OpenQasm2(), OpenQasm3()]


plugin = Plugin()
