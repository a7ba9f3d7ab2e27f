"""The page of the permission grammar, in the words in which users are asked."""

from __future__ import annotations

import io

from proxima.errors import UsageError
from proxima.permissions.consent import TIMEOUT_SECONDS, ConsentRequest, TerminalConsent
from proxima.permissions.facade import MAX_DENIALS
from proxima.permissions.grammar import KINDS, Permission

# What each lets a plugin do, beside what a user is told.
FORMS = {
    "execute_circuits": "a backend is handed circuits; others get the service `Execution`",
    "database": "the service `ResultStore`, to read; the hook `proxima_run_finished`",
    "llm": "`kernel.services.llm(PROVIDER)`",
    "gpu": "the driver's device files",
    "subprocess": "`subprocess`; at tier A only",
    "ui": "",
    "memory": "",
    "git": "",
    "file_read": "the same as `file_read:workspace`",
    "file_read:workspace": "`open` to read, in the directory that Proxima was started in",
    "file_read:/srv/calibration": "`open` to read that file, or all below that directory",
    "file_read:all": "`open` to read what you may read, but for what is never granted",
    "file_write": "the same as `file_write:workspace`",
    "file_write:workspace": "`open` to write there; to read as well takes `file_read`",
    "file_write:/srv/calibration": "`open` to write that file, or all below that directory",
    "file_write:all": "`open` to write what you may write, but for what is never granted",
    "network:example.org": "connections to that host on port 443, not to its subdomains",
    "network:example.org:8080": "connections to that host on that port alone",
    "network:localhost:8765": "the same, on this computer; private addresses are reached only by name",
    "network": "connections to any public host on port 443",
    "secrets:IBM_TOKEN": "`kernel.services.secret(NAME)`: the environment's `PROXIMA_SECRET_NAME`, else the keyring",
    "terminal.run": "a rule of an agent's tool: that action on anything",
    "terminal.run:git *": "the same on what fits; `*` is any text, and what has shell operators never fits",
}

REFUSED = (
    "execute_circuit",
    "subprocess:ls",
    "file_read:calibration",
    "file_read:/srv/../etc",
    "network:*.example.org",
    "network:https://example.org/api",
    "secrets:token",
)

HEAD = """\
# Permissions

A plugin's author writes under `permissions` in [`plugin.yaml`](../developer-guide/manifest.md) what it may ever be
granted. The user grants it at the installation, or is asked when it is first used; what is not declared cannot be
granted. [Plugins](plugins.md#permissions) says how, [the sandbox](../developer-guide/sandbox.md) what holds a plugin
to it.

"""

TAIL = """\

`/srv/calibration`, `example.org`, `8080`, `8765`, `IBM_TOKEN` and `git *` stand for any other. A path is absolute or
begins with `~/`; `workspace` is the directory that Proxima was started in. Links in a path are followed when it is
granted, so that it means the place that the user saw. A wide permission covers a narrow one of its kind. What is
denied is denied, whatever else is granted.

Never granted, also where it is the workspace or `all` is: the home directory as a whole and what is above it,
Proxima's own directories, and where keys, passwords and histories lie, such as `~/.ssh`. Name a directory further
down.

Nothing that comes with this version asks for `ui`, `memory`, `git` or a rule such as `terminal.run`; they are in the
grammar, and may be declared.

## What a user is asked

At the installation, each permission with its meaning and risk. Where it was not decided then and the plugin uses it:

```text
{asked}```

The answers are once, session, always and deny: `once` holds for this use, `session` until Proxima ends, `always`
until it is revoked. No answer within {minutes:g} minutes is a denial; after {denials} denials in a session you are
not asked about that plugin any more. Without a terminal it is denied, with the command that grants it.

## What is refused

`proxima plugin validate` and the store refuse a manifest that has one of these, with the reason.

| permission | why |
|---|---|
"""


def permissions() -> str:
    """The page.

    Raises:
        ValueError: A kind of permission is not among the forms, or one of these is no permission.
    """
    parsed = {text: Permission.parse(text) for text in FORMS}
    kinds = {each.kind for each in parsed.values()}
    if missing := set(KINDS) - kinds:
        raise ValueError(f"the page of permissions says nothing of {sorted(missing)}")
    lines = ["| permission | a user is told | risk | what it gives |", "|---|---|---|---|"]
    for text, gives in FORMS.items():
        # A path is told as it is written: here it may be a link.
        permission = Permission.stored(text) if "/" in text else parsed[text]
        lines.append(f"| `{text}` | {permission.describe()} | {permission.risk} | {gives} |")
    refused = [f"| `{text}` | {_why_refused(text)} |" for text in REFUSED]
    tail = TAIL.format(asked=_asked(), minutes=TIMEOUT_SECONDS / 60, denials=MAX_DENIALS)
    return HEAD + "\n".join(lines) + "\n" + tail + "\n".join(refused) + "\n"


def _asked() -> str:
    """What a terminal shows, but for the line that reads the answer."""
    out = io.StringIO()
    permission = Permission.parse("network:queue.example.org:8765")
    request = ConsentRequest(
        "lab-queue", "0.1.0", permission, target="queue.example.org:8765", reason="ask for the queue"
    )
    TerminalConsent(io.StringIO(), out).ask(request)
    return out.getvalue().partition("\n\nDenied")[0].rstrip() + "\n"


def _why_refused(text: str) -> str:
    try:
        Permission.parse(text)
    except UsageError as error:
        return f"{error.message.partition(': ')[2]}. {error.hint or ''}".strip()
    raise ValueError(f"{text} is a permission")
