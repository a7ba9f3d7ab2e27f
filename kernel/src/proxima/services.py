"""What plugins offer each other, found by contract: a type that both sides import, never by plugin name."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar, cast

from proxima.errors import NotFoundError, ProximaError

T = TypeVar("T")


class Services:
    """Services by contract, each made when it is first asked for.

    Args:
        resolve: Called with a contract that nobody offers yet. It may activate plugins, which then call `offer`;
            it returns why nobody offers it, or None to leave the wording to this class.
    """

    def __init__(self, resolve: Callable[[type], str | None] | None = None) -> None:
        self._resolve = resolve
        self._offers: dict[type, dict[str, Callable[[], object]]] = {}
        self._services: dict[type, object] = {}
        self._reasons: dict[type, str] = {}
        self._lock = threading.RLock()

    def offer(self, contract: type[T], provider_id: str, factory: Callable[[], T]) -> None:
        """Offer a service; the plugin that offered a contract first serves it, others stand by."""
        with self._lock:
            self._offers.setdefault(contract, {})[provider_id] = factory

    def get(self, contract: type[T]) -> T | None:
        """The service, or None; `why_not` then has the reason."""
        with self._lock:
            if contract in self._services:
                return cast(T, self._services[contract])
            self._reasons[contract] = f"no plugin offers {contract.__name__}"
            if contract not in self._offers and self._resolve and (reason := self._resolve(contract)):
                self._reasons[contract] = reason
            for provider_id, factory in tuple(self._offers.get(contract, {}).items()):
                try:
                    service = self._services[contract] = factory()
                except Exception as error:
                    self._reasons[contract] = f"{provider_id} offers it but could not start it: {error}"
                    if not isinstance(error, ProximaError):
                        logging.getLogger(__name__).exception("%s could not start %s", provider_id, contract.__name__)
                else:
                    return cast(T, service)
            return None

    def why_not(self, contract: type) -> str:
        """Why the last `get` of this contract gave None."""
        return self._reasons[contract]

    def require(self, contract: type[T]) -> T:
        """The service.

        Raises:
            NotFoundError: nobody offers it, or who does could not start it.
        """
        service = self.get(contract)
        if service is None:
            raise NotFoundError(
                f"the service {contract.__name__} is not available: {self.why_not(contract)}",
                hint="Install or enable a plugin that offers it; `proxima plugin list` shows what there is.",
            )
        return service
