"""uv: the fastest, and the one that explains a conflict in words."""

from __future__ import annotations

import re
import sys

from proxima.errors import ProximaError
from proxima.store.errors import StoreError
from proxima.store.pylock import Pinned, parse_pylock
from proxima.store.resolve.resolver import Request, Resolver, by_address, conflict, failed, not_found
from proxima.store.tool import beside_python


class Uv(Resolver):
    """``uv pip compile``, which answers with a ``pylock.toml``."""

    name = "uv"

    @staticmethod
    def find() -> tuple[str, ...]:
        """The program, beside this interpreter or on `PATH`."""
        path = beside_python("uv")
        return (path,) if path else ()

    def resolve(self, request: Request) -> list[Pinned]:
        """See `Resolver.resolve`."""
        out, _ = self.run(
            request,
            *("pip", "compile", "requirements.in", "--constraints", "constraints.txt", "--format", "pylock.toml"),
            *("--quiet", "--no-header", "--only-binary", ":all:", "--python", sys.executable),
            *request.index.options(),
            inputs={"requirements.in": "\n".join(request.requirements), "constraints.txt": request.constraints()},
        )
        import tomllib

        try:
            return request.closure(parse_pylock(tomllib.loads(out)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"uv answered something that makes no sense: {error}") from error

    def explain(self, said: str) -> ProximaError:
        """See `Resolver.explain`."""
        text = " ".join(said.split())
        if url := re.search(r"for package `(\S+?)`.*included as a URL dependency.* adding `(.+?)` to your", text):
            return by_address(url.group(2), url.group(1))
        found = re.search(r"No solution found when resolving dependencies:?\s*(?:cause:|╰─▶)?\s*(.*)", text)
        if found is None or "invalid package format" in text:
            return failed("uv", said)
        reason = re.sub(r",? we can conclude that your requirements are unsatisfiable\.?", "", found.group(1)).strip()
        absent = re.search(r"was not found in the|has no usable wheels|no wheels with a matching", reason)
        unknown = re.search(r"there (is|are) no versions? of", reason) and "depends on" not in reason
        return not_found(reason) if absent or unknown else conflict(reason)
