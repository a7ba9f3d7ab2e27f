"""`ServiceConformance`."""

from __future__ import annotations

from typing import Any, ClassVar

from proxima.contracts.service import Service
from proxima_sdk.conformance.contribution import ContributionChecks


class ServiceConformance(ContributionChecks):
    """Subclass it in a test module, name your service, run pytest.

    Attributes:
        service: A service's name among the installed plugins, or a `proxima.contracts.service.Service`.
    """

    kind = "services"
    service: ClassVar[Any] = None

    @property
    def _contract(self) -> str:
        offered: Service = self.subject
        return f"{offered.contract.__module__}.{offered.contract.__qualname__}"

    def test_contract(self) -> None:
        """Every method of the contract that it is offered under, with its parameters."""
        self.meets(self.subject.provider, self._contract)

    def test_contract_is_the_manifests(self) -> None:
        """The kernel finds a service by the contract that plugin.yaml names."""
        if self.declared is None:
            return
        if self._contract != self.declared.data.get("contract"):
            self.fails("its contract", expected=self.declared.data.get("contract"), got=self._contract)

    def test_close_twice(self) -> None:
        """Where it can be closed, it can be closed again."""
        close = getattr(self.subject.provider, "close", None)
        if close is not None:
            self.asked("close(), for the first time", close)
            self.asked("close(), for the second time", close)
