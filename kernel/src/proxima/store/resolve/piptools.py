"""pip-tools: it pins versions and hashes; pip then tells where those wheels are."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from importlib.util import find_spec

from proxima.errors import ProximaError
from proxima.store.errors import StoreError
from proxima.store.pylock import Pinned, normalised
from proxima.store.resolve import childless
from proxima.store.resolve.pip import Pip, explained
from proxima.store.resolve.resolver import Request, Resolver


class PipTools(Resolver):
    """``pip-compile``, called as a module: it has no stable interface in Python."""

    name = "pip-tools"

    @staticmethod
    def find() -> tuple[str, ...]:
        """This interpreter's pip-tools; pip, on which it is built, comes with it."""
        return (sys.executable, "-P", childless.__file__, "piptools") if find_spec("piptools") and Pip.find() else ()

    def resolve(self, request: Request) -> list[Pinned]:
        """See `Resolver.resolve`."""
        pip = Pip(Pip.find())
        try:
            out, _ = self.run(
                request,
                *("compile", "requirements.in", "--constraint", "constraints.txt", "--output-file", "requirements.txt"),
                *("--no-header", "--no-annotate", "--strip-extras", "--no-emit-index-url", "--no-emit-trusted-host"),
                *("--no-emit-find-links", "--pip-args", "--only-binary=:all:", "--allow-unsafe", "--no-config"),
                *request.index.options(),
                inputs={"requirements.in": "\n".join(request.requirements), "constraints.txt": request.constraints()},
                keep="requirements.txt",
            )
        except StoreError:
            pip.resolve(replace(request, meanwhile=lambda: None))  # which says who wants what
            raise
        lines = [line.strip() for line in out.splitlines() if line.strip() and line[0] not in "#-"]
        wanted = [line for line in lines if normalised(re.split(r"[ =@\[]", line)[0]) not in request.provided]
        return pip.resolve(replace(request, requirements=wanted, meanwhile=lambda: None))

    def explain(self, said: str) -> ProximaError:
        """See `Resolver.explain`."""
        return explained("pip-tools", said)
