"""``proxima plugin list`` without options: one line per plugin, from the first line of its manifest."""

from __future__ import annotations

import os

from proxima.paths import Paths
from proxima.plugins.compatibility import unfit
from proxima.plugins.scan import MANIFEST_NAME, FoundPlugin, manifest_path, read_header, scan
from proxima.plugins.state import PluginState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxima.plugins.registry import PluginRecord

    Row = tuple[str, str, str, str]


def main() -> int:
    """Prints the list.

    The states are those of `PluginRegistry`; only that a manifest is wrong below its first line is not seen here.
    """
    paths = Paths.default()
    state = PluginState(paths)
    disabled, quarantined = state.disabled(), state.quarantined()
    named = os.environ.get("PROXIMA_PLUGINS")
    only = None if named is None else [name.strip() for name in named.split(",")]
    reasons: dict[str, str] = {}
    rows: list[Row] = []
    contested: list[str] = []
    seen = ""
    gone = disabled | quarantined
    for plugin in scan(store=os.path.join(paths.data, "store")):
        if plugin.contested:
            contested.append(f"{plugin.id}: {plugin.contested}")
        if plugin.id == seen:
            continue
        seen = plugin.id
        gone.discard(plugin.id)
        if plugin.target and plugin.origin == "store":
            header: tuple[str, str] | None = (plugin.fits, plugin.kinds)
        else:
            # Most lie beside their metadata: one look there is cheaper than to ask first where it is.
            header = read_header(f"{plugin.base}/{plugin.package}/{MANIFEST_NAME}")
        if header is None and (path := manifest_path(plugin)):
            header = read_header(path)
        if header is None or plugin.id in quarantined or plugin.contested:
            rows.append(_judged(plugin, state, only, plugin.id in disabled, plugin.id in quarantined))
            continue
        fits, kinds = header
        if fits not in reasons:
            reasons[fits] = unfit(fits)
        if plugin.id in disabled:
            word = "disabled"
        elif reasons[fits]:
            word = "incompatible"
        else:
            word = "enabled" if only is None or plugin.id in only else "installed"
        rows.append((plugin.id, plugin.version, word, kinds))
    return show([*rows, *((name, "", "uninstalled", "") for name in sorted(gone))], contested)


def show(rows: Sequence[Row], contested: Sequence[str]) -> int:
    """Prints the rows, then which names are contested; where there are no rows, how to get plugins."""
    if not rows:
        print("No plugins are installed. Install some beside the kernel, for example: pip install proxima-quantum")
        return 0
    rows = [("NAME", "VERSION", "STATE", "CONTRIBUTES"), *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:<{widths[2]}}  {d}".rstrip() for a, b, c, d in rows]
    lines += dict.fromkeys(contested)
    print("\n".join([line if line.isprintable() else ascii(line)[1:-1] for line in lines]))
    return 0


def row_of(record: PluginRecord) -> Row:
    """The row of a plugin that the registry has judged."""
    kinds = dict.fromkeys(c.kind for c in record.manifest.contributions) if record.manifest else ()
    return record.id, record.version, str(record.state), " ".join(kinds)


def _judged(found: FoundPlugin, state: PluginState, only: list[str] | None, disabled: bool, quarantined: bool) -> Row:
    """The row of a plugin that its first line does not tell enough of."""
    from proxima.plugins.registry import PluginRegistry

    return row_of(PluginRegistry(state, only).judge(found, disabled, quarantined))
