"""What can go wrong between the kernel and a sandboxed plugin, as branches of the kernel's error tree."""

from __future__ import annotations

from proxima.errors import PluginError, ResourceError


class SandboxError(PluginError):
    """A plugin's sandbox could not be built or did not hold."""


class LockError(SandboxError):
    """A step of the lock failed, so the plugin was not loaded.

    Args:
        step: The step, as `proxima.sandbox.linux.lock` names it.
        reason: What the operating system answered, or what was found.
    """

    def __init__(self, step: str, reason: str, *, hint: str | None = None, plugin: str | None = None) -> None:
        super().__init__(f"the sandbox was not locked: {step}: {reason}", hint=hint, plugin=plugin)
        self.step = step
        self.reason = reason


class ProtocolError(SandboxError):
    """The other side of a channel said what the protocol does not allow, or stopped midway; it is not heard again."""


class CrashedError(SandboxError):
    """The plugin's process ended while it was needed: a signal, an exit of its own, the machine out of memory."""


class LimitError(SandboxError, ResourceError):
    """The plugin used up what it may; the message names the limit.

    Args:
        limit: A field of `Limits`.
    """

    def __init__(self, message: str, *, limit: str, hint: str | None = None, plugin: str | None = None) -> None:
        super().__init__(message, hint=hint, plugin=plugin)
        self.limit = limit
