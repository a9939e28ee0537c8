"""The host functions of ABI `reifydb.v1`: names and types, as docs/abi.md lists them.

One table, from which all follows: what a module may import (inspection.py) and what a bridge has to
offer. A function is added here, in docs/abi.md and in the bridge, never in one of them alone: a
test compares this table with the page.
"""

from __future__ import annotations

from dataclasses import dataclass

IMPORT_MODULE = "reifydb.v1"
"""The module that guests import from. The version is the name."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The type of a wasm function, in the text format's names: i32, i64, f32, f64.

    Attributes:
        params: Type of each parameter.
        results: Type of each result. Host functions have exactly one, transitions as well.
    """

    params: tuple[str, ...] = ()
    results: tuple[str, ...] = ()

    @property
    def result(self) -> str | None:
        """The only result's type, None without a result."""
        return self.results[0] if self.results else None

    def __str__(self) -> str:
        """As docs/abi.md writes it.

        >>> str(Signature(("i32", "i32"), ("i64",)))
        '(i32 i32) -> i64'
        """
        result = " ".join(self.results) if len(self.results) == 1 else f"({' '.join(self.results)})"
        return f"({' '.join(self.params)}) -> {result}"


def _takes(count: int, result: str = "i32") -> Signature:
    """So many i32 parameters: positions, pointers, lengths, codes. That is all there is so far."""
    return Signature(("i32",) * count, (result,))


SIGNATURES: dict[str, Signature] = {
    "args": _takes(2),
    "result": _takes(2),
    "abort": _takes(3),
    "get": _takes(5),
    "insert": _takes(3),
    "update": _takes(3),
    "upsert": _takes(3),
    "delete": _takes(3),
    "operate": _takes(5),
    "count": _takes(1, "i64"),
    "generated": _takes(0, "i64"),
    "scan": _takes(6),
    "next": _takes(3),
    "close": _takes(1),
    "now": _takes(0, "i64"),
    "random": _takes(0, "i64"),
    "caller": _takes(2),
    "log": _takes(3),
}
"""Every host function by name."""

TRANSITION = Signature((), ("i32",))
"""What a transition's export must be: it pulls its arguments and returns a code."""
