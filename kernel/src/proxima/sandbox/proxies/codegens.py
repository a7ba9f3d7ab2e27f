"""The object in the kernel that stands for a code generator of a sandboxed plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxima.contracts.codegen import CodeGenerator
from proxima.sandbox.proxies.proxy import Proxy

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit


class CodeGeneratorProxy(Proxy, CodeGenerator):
    """A code generator in a worker."""

    def generate(self, circuit: Circuit) -> str:
        """See `CodeGenerator.generate`."""
        return self._ask("generate", circuit=circuit)  # type: ignore[no-any-return]
