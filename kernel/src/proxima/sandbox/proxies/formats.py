"""The object in the kernel that stands for a circuit format of a sandboxed plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.contracts.formats import CircuitFormat
from proxima.sandbox.proxies.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from proxima.contracts.circuit import Circuit


class FormatProxy(Proxy, CircuitFormat):
    """A circuit format in a worker."""

    def recognises(self, head: bytes) -> bool:
        """See `CircuitFormat.recognises`."""
        return self._ask("recognises", head=head)  # type: ignore[no-any-return]

    def load(self, data: bytes, *, source: str, directory: Path | None) -> Circuit:
        """See `CircuitFormat.load`; what a worker may not read cannot be included."""
        where = None if directory is None else str(directory)
        return self._ask("load", data=data, source=source, directory=where)  # type: ignore[no-any-return]

    def dump(self, circuit: Circuit) -> str:
        """See `CircuitFormat.dump`."""
        return self._ask("dump", circuit=circuit)  # type: ignore[no-any-return]
