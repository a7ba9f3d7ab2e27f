"""The object in the kernel that stands for a view of a sandboxed plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxima.contracts.view import Group, View
from proxima.sandbox.proxies.proxy import Proxy


class ViewProxy(Proxy, View):
    """A view in a worker."""

    def show(self) -> Group:
        """See `View.show`."""
        return self._ask("show")  # type: ignore[no-any-return]

    def act(self, action: str, values: Mapping[str, Any]) -> Group:
        """See `View.act`."""
        return self._ask("act", action=action, values=dict(values))  # type: ignore[no-any-return]
