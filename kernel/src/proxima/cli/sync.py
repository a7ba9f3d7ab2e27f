"""``proxima plugin sync``: the installed plugins made those of a lock file."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from proxima.cli.config import check_setting, write_setting
from proxima.cli.output import ProgressLine, clean, print_json
from proxima.cli.proposing import Asking, add_options, as_dict, in_words
from proxima.kernel import Kernel
from proxima.settings import read_toml
from proxima.store.job import Job

SUMMARY = "make the installed plugins those of a lock file, to the hash; others are removed"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.epilog = "example: proxima plugin sync cluster.lock --yes"
    parser.add_argument("file", help="what `proxima plugin lock` wrote")
    add_options(parser)


def run(args: argparse.Namespace, kernel: Kernel) -> int:
    """Installs, replaces and removes; permissions are those of the lock, once the user agrees."""
    from proxima.store.portable import sync

    file = os.path.join(kernel.paths.config, "settings.toml")

    def configure(plugin: str, settings: Mapping[str, Any]) -> Iterator[str]:
        manifest = kernel.registry.get(plugin).manifest if settings else None
        for key, value in settings.items():
            check_setting(plugin, manifest.config_schema if manifest else {}, key, value)
        table = read_toml(file).get("plugins")
        now = table.get(plugin) or {} if isinstance(table, dict) else {}
        for key, value in settings.items():
            if key not in now or now[key] != value:
                write_setting(file, plugin, key, value)
                yield f"{key} is set to {json.dumps(value)}"
        for key in now.keys() - settings.keys():
            yield f"{key} stays set as it is: the file does not have it"

    before = set(kernel.store.plugins())
    with ProgressLine() as progress:
        consent = Asking(args.yes, progress)
        done = sync(kernel.store, args.file, consent=consent, configure=configure, job=Job(progress=progress))
    removed = sorted(before - set(kernel.store.plugins()))
    if args.json:
        changed = [as_dict(each) | {"adjusted": each.adjusted} for each in done]
        print_json({"changed": changed, "removed": removed})
        return 0
    for outcome in done:
        if outcome.changed:
            print(in_words(outcome))
        for each in outcome.adjusted:
            print(f"{clean(outcome.plugin)}: {clean(each)}")
    for plugin in removed:
        print(f"{clean(plugin)} is removed")
    if not done and not removed:
        print("Everything is as the file says.")
    return 0
