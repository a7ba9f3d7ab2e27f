"""`open_kernel`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from proxima.kernel import Kernel
from proxima.paths import Paths
from proxima.permissions import Consent, ConsentRequest
from proxima.permissions.consent import ConsentAnswer
from proxima_sdk.testing.placing import place


class GrantAll:
    """Grants for the session whatever is asked; what a manifest does not declare is never asked."""

    def ask(self, request: ConsentRequest) -> ConsentAnswer:
        """Grants it."""
        return "session"


@contextmanager
def open_kernel(
    plugin: str | Path | None = None,
    *,
    sandboxed: bool = False,
    settings: Mapping[str, object] | None = None,
    consent: Consent | None = None,
) -> Iterator[Kernel]:
    """A kernel with every installed plugin and the one under test, on a home that is removed afterwards.

    >>> with open_kernel(Path("."), sandboxed=True) as kernel:
    ...     print(kernel.get("tools", "shout").call({"text": "a"}).text)

    Args:
        plugin: The plugin's source directory or its wheel, or the id of one that is installed. Where it is left out,
            ``sandboxed`` holds for every plugin that is not first-party.
        sandboxed: Whether it runs in a worker, as it will for users, or in this process.
        settings: By dotted name, e.g. ``{"plugins.mine.url": "http://localhost"}``.
        consent: Who is asked for permissions; by default all that the manifest declares is granted.

    Raises:
        UsageError: ``plugin`` is no plugin.
        UnavailableError: What it depends on is not installed.
    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="proxima-test-")))
        name = str(plugin) if plugin is not None else "default"
        if isinstance(plugin, Path):
            # The name is what tells a worker that plugins are imported from it.
            site = home / "site-packages"
            site.mkdir()
            placed = place(plugin, site)
            stack.enter_context(placed.importable())
            name = placed.id
        flags = {f"isolation.{name}": "worker" if sandboxed else "in-process", **(settings or {})}
        paths = Paths.under(str(home / "home"))
        yield stack.enter_context(Kernel(paths=paths, flags=flags, consent=consent or GrantAll()))
