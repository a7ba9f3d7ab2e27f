"""`ServiceConformance`."""

from __future__ import annotations

from typing import Any, ClassVar

from proxima.contracts.service import Service
from proxima_sdk.conformance.contribution import ContributionChecks
from proxima_sdk.conformance.shape import misfits


class ServiceConformance(ContributionChecks):
    """Subclass it in a test module, name your service, run pytest.

    Attributes:
        service: A service's name among the installed plugins, or a `proxima.contracts.service.Service`.
    """

    kind = "services"
    service: ClassVar[Any] = None

    def test_fulfils_its_contract(self) -> None:
        """Every method of the contract, with its parameters."""
        offered: Service = self.subject
        for fault in misfits(offered.provider, offered.contract)[:1]:
            self.fails(
                f"the contract {offered.contract.__module__}.{offered.contract.__qualname__}",
                expected="its attributes and methods, with its parameters",
                got=fault,
                convention="others know the contract alone, never the class behind it",
            )

    def test_contract_is_the_manifests(self) -> None:
        """The kernel finds a service by the contract that plugin.yaml names."""
        if self.declared is None:
            return
        contract = self.subject.contract
        path = f"{contract.__module__}.{contract.__qualname__}"
        if path != self.declared.data.get("contract"):
            self.fails("its contract", expected=self.declared.data.get("contract"), got=path)

    def test_close_twice(self) -> None:
        """Where it can be closed, it can be closed again."""
        close = getattr(self.subject.provider, "close", None)
        if close is not None:
            self.asked("close(), for the first time", close)
            self.asked("close(), for the second time", close)
