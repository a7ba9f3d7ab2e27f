"""The messages of a conversation, each a list that starts with its kind, and the limits that both sides keep to."""

from __future__ import annotations

REQUEST, ANSWER, ERROR, PROGRESS, CANCEL, FREE = range(1, 7)

LENGTHS = {
    REQUEST: 5,  # call, method, arguments, buffer
    ANSWER: 5,  # call, result, buffer, number of descriptors
    ERROR: 7,  # call, class, message, hint, place, traceback
    PROGRESS: 4,  # call, fraction, message
    CANCEL: 2,  # call
    FREE: 2,  # buffer
}
"""How many items a message of each kind has, its kind included."""

LEASE = "$lease"
"""The method by which a worker asks for a shared buffer of so many bytes."""

MAX_CALLS = 64
"""Most calls in progress in each direction; a further one waits for its turn."""

MAX_REQUEST = 4 << 20
"""Most memory that one request of a plugin may take, its arrays included; a larger one is refused."""

MAX_HELD = 512 << 20
"""Most memory that a plugin's requests in progress and answers not yet fetched may take; a further one is refused.
Arrays of an answer do not count: they lie in the shared buffers, and what is copied from there was asked for."""

MAX_FDS = 8
"""Most descriptors that come with one answer, the shared buffer's apart."""

MAX_TOLD = 1000
"""Longest message of progress, in characters."""

BufferRef = tuple[int, int] | None
"""Index and size of the shared buffer that a message uses."""
