"""The object in the kernel that stands for a visualization of a sandboxed plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from proxima.contracts.visualization import Visualization
from proxima.sandbox.proxies.proxy import Proxy

if TYPE_CHECKING:
    from proxima.contracts.circuit import Circuit
    from proxima.contracts.result import RunResult


class VisualizationProxy(Proxy, Visualization):
    """A visualization in a worker."""

    def render(self, subject: RunResult | Circuit, picture_format: str, options: Mapping[str, Any]) -> bytes:
        """See `Visualization.render`."""
        return self._ask(  # type: ignore[no-any-return]
            "render", subject=subject, picture_format=picture_format, options=dict(options)
        )
