"""`Own`: what a worker knows of its policy, which others have enforced by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from proxima.sandbox.policy import SandboxPolicy


class Own(NamedTuple):
    """As a list it can be sent.

    Attributes:
        plugin: The plugin's id.
        import_paths: Where it is imported from.
        scratch: Its private directory.
        files: Every place that it may open by itself.
        keeps_files: Whether it may not remove files.
        forks: Whether it may start processes.
        limits: What it may use up, as `proxima.sandbox.policy.Limits` names it.
    """

    plugin: str
    import_paths: Sequence[str]
    scratch: str
    files: Sequence[str]
    keeps_files: bool
    forks: bool
    limits: Mapping[str, float]


def own_part(policy: SandboxPolicy) -> Own:
    """What the worker of a policy is told of it."""
    imports = list(policy.import_paths)
    files = [policy.scratch, *policy.read, *policy.write, *imports]
    return Own(
        policy.plugin, imports, policy.scratch, files, policy.keeps_files, policy.subprocess, asdict(policy.limits)
    )
