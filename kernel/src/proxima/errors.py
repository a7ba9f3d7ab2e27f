"""Every error that Proxima raises on purpose.

    ProximaError                      exit 1
    ├── UsageError (ValueError)       exit 2   wrong usage or input
    │   ├── CircuitError                       a circuit that does not make sense
    │   │   └── CircuitSyntaxError             ... with file, line, column and token
    │   ├── ManifestError                      a manifest with a wrong field
    │   └── SettingsError                      a setting that its schema refuses
    ├── UnavailableError              exit 3   it exists, but not here or not for this
    │   ├── NotFoundError (LookupError)        no plugin, backend, service or record of that name
    │   ├── PluginError                        a plugin that cannot be used
    │   │   ├── PluginBrokenError              importing or calling it raised
    │   │   ├── PluginIncompatibleError        made for another kernel or Python
    │   │   └── PluginDisabledError            turned off, or quarantined after a failure
    │   ├── BackendUnavailableError            its engine, library or device is missing
    │   ├── UnsupportedError                   the backend cannot do what the circuit needs
    │   └── ResourceError (MemoryError)        refused before memory is taken
    ├── PermissionDeniedError         exit 4   (PermissionError)
    ├── RunError (RuntimeError)       exit 1   the engine failed
    │   └── DeadlineExceededError (TimeoutError)
    ├── StorageError (OSError)        exit 1   the disk, or a file that is not what it was
    └── CancelledError                exit 130

A message says what failed and on what; ``hint`` says what to do next. A traceback is for bugs, never
for a user's mistake.
"""

from __future__ import annotations


class ProximaError(Exception):
    """The root of the tree.

    Args:
        message: What failed, on what input.
        hint: What to do next, as a sentence; shown on a line of its own.
        plugin: The id of the plugin concerned, if one is.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, plugin: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.plugin = plugin

    def __str__(self) -> str:
        return self.message

    @property
    def code(self) -> str:
        """A stable name for programs: the class name without ``Error``, e.g. ``CircuitSyntax``."""
        return type(self).__name__.removesuffix("Error")


class UsageError(ProximaError, ValueError):
    """The command line, an argument or an input file is wrong."""

    exit_code = 2


class CircuitError(UsageError):
    """A circuit that does not make sense: an index out of range, a matrix that is not unitary."""


class CircuitSyntaxError(CircuitError):
    """A circuit file that cannot be read.

    Args:
        message: What was expected or what is wrong.
        path: The file, or ``<stdin>``.
        line: 1-based.
        column: 1-based, in characters.
        token: The offending text.
    """

    def __init__(
        self, message: str, *, path: str, line: int, column: int, token: str = "", hint: str | None = None
    ) -> None:
        near = f" (at {token!r})" if token else ""
        super().__init__(f"{path}:{line}:{column}: {message}{near}", hint=hint)
        self.path = path
        self.line = line
        self.column = column
        self.token = token


class ManifestError(UsageError):
    """A plugin manifest with a wrong field; the message names the field's path and what was expected."""


class SettingsError(UsageError):
    """A setting that is unknown or that its schema refuses."""


class UnavailableError(ProximaError):
    """It exists, but not on this machine, or not for this circuit."""

    exit_code = 3


class NotFoundError(UnavailableError, LookupError):
    """No plugin, backend, service or record has that name."""


class PluginError(UnavailableError):
    """A plugin that cannot be used."""


class PluginBrokenError(PluginError):
    """Importing or calling the plugin raised; ``__cause__`` holds its exception."""


class PluginIncompatibleError(PluginError):
    """The plugin is made for another kernel, Python or platform."""


class PluginDisabledError(PluginError):
    """The plugin is turned off, or quarantined after a failure."""


class BackendUnavailableError(UnavailableError):
    """The backend's engine, library or device is missing on this machine."""


class UnsupportedError(UnavailableError):
    """The backend cannot do what the circuit or the request needs; the message names it."""


class ResourceError(UnavailableError, MemoryError):
    """Refused before memory is taken; the message gives the number of bytes."""


class PermissionDeniedError(ProximaError, PermissionError):
    """A plugin asked for something it was not granted; the message names the permission."""

    exit_code = 4


class RunError(ProximaError, RuntimeError):
    """The engine failed while it ran."""


class DeadlineExceededError(RunError, TimeoutError):
    """The run passed the deadline it was given."""


class StorageError(ProximaError, OSError):
    """The disk is full or read-only, or a stored file is not what it was."""


class CancelledError(ProximaError):
    """The user, or a caller, cancelled."""

    exit_code = 130
