"""The object in the kernel that stands for an algorithm of a sandboxed plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proxima.contracts.algorithm import Algorithm, AlgorithmResult
from proxima.sandbox.proxies.proxy import Proxy

if TYPE_CHECKING:
    from proxima.contracts.backend import CancelToken
    from proxima.contracts.circuit import Circuit
    from proxima.contracts.execution import Progress


class AlgorithmProxy(Proxy, Algorithm):
    """An algorithm in a worker."""

    def default_params(self) -> Mapping[str, Any]:
        """See `Algorithm.default_params`."""
        return self._ask("default_params")  # type: ignore[no-any-return]

    def execute(
        self, circuit: Circuit, params: Mapping[str, Any], *, cancel: CancelToken, progress: Progress
    ) -> AlgorithmResult:
        """See `Algorithm.execute`."""
        return self._ask(  # type: ignore[no-any-return]
            "execute", cancel=cancel, progress=progress, circuit=circuit, params=dict(params)
        )
