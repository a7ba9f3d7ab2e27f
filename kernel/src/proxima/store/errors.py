"""What the store refuses, beside the errors of the disk."""

from __future__ import annotations

from proxima.errors import UnavailableError


class StoreError(UnavailableError):
    """A plugin cannot be installed, updated or taken back; the store is what it was before."""


class ConflictError(StoreError):
    """Two requirements cannot both be met; the message says who wants what."""


class FetchError(StoreError):
    """A wheel could not be had: the server is slow, gone or wrong, or sent something else than it said."""


class ProbeError(StoreError):
    """The plugin was tried in a worker and is not what its manifest says."""
