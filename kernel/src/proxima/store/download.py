"""Opens the address of a wheel: by https or http alone, with an index's own password, never from https to less."""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from proxima import __version__
from proxima.errors import ProximaError, UnavailableError
from proxima.store.addresses import shown
from proxima.store.errors import FetchError
from proxima.store.fetch import AGAIN, Readable


@contextmanager
def open_address(url: str, indexes: Sequence[str], timeout: float) -> Iterator[tuple[Readable, int | None]]:
    """What a server sends, and how many bytes it says that will be.

    Args:
        url: The wheel's address.
        indexes: Addresses whose user name and password also hold for files on the same host.
        timeout: How many seconds the server may send nothing.

    Raises:
        FetchError: It cannot be had.
        UnavailableError: This Python has no TLS.
    """
    address, credentials = _credentials(url, indexes)
    request = urllib.request.Request(address, headers={"User-Agent": f"proxima/{__version__}"})
    if credentials:
        request.add_unredirected_header("Authorization", f"Basic {credentials}")
    try:
        response = _opener().open(request, timeout=timeout)
    except (http.client.HTTPException, OSError, ValueError) as error:  # a ValueError: a host that cannot be one
        if isinstance(error, ProximaError):
            raise
        reason = getattr(error, "reason", None) or error
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise FetchError(f"cannot fetch {shown(url)}: {reason}", hint=AGAIN) from error
    with response:
        length = response.headers.get("Content-Length", "")
        yield _Answer(response, url), int(length) if length.isdecimal() else None


class _Answer:
    def __init__(self, response: http.client.HTTPResponse, url: str) -> None:
        self._response, self._url = response, url

    def read1(self, size: int, /) -> bytes:
        try:
            return self._response.read1(size)
        except (http.client.HTTPException, OSError) as error:
            reason = str(error) or type(error).__name__
            raise FetchError(f"{shown(self._url)} broke off: {reason}", hint=AGAIN) from error


def _credentials(url: str, indexes: Sequence[str]) -> tuple[str, str]:
    """The address without user name and password, and those, encoded, where they are known."""
    parts = urlsplit(url)
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    for each in (parts, *map(urlsplit, indexes)):
        if each.hostname == parts.hostname and each.scheme == parts.scheme and each.username:
            user = f"{unquote(each.username)}:{unquote(each.password or '')}"
            return address, base64.b64encode(user.encode()).decode()
    return address, ""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to https, or from http to http; never from https to less."""

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.startswith("https:"):
            raise FetchError(f"{shown(req.full_url)} leads to {shown(newurl)}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS alone, by the proxy that the environment names.

    Raises:
        UnavailableError: This Python has no TLS.
    """
    try:
        import ssl  # noqa: F401 - without it `urllib.request` has no HTTPS
    except ImportError as error:
        hint = "Use a Python that was built with OpenSSL, and finds it."
        raise UnavailableError(f"this Python cannot fetch by https: {error}", hint=hint) from error
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener
