"""Compile bombs: small modules that are far too hard to compile, or to load.

Some are refused for their shape before a compiler sees them. Others are within every limit of
shape, and end with the process that compiles them.
"""

from __future__ import annotations

from reifydb.config import ModuleLimits
from reifydb.sandbox.binary import name_bytes, uint
from tests.hostile.entry import COMMITTED, Hostile, call
from tests.unit.sandbox.samples import body, bomb, functions, guest, module, section, vector

SHORT = ModuleLimits(compile_cpu_s_max=1)
QUIET = {"abi": 1, "name": "m", "transitions": [{"name": "t"}]}

LOCAL_STEP = b"\x03\x40\x20\0\x50\x0d\0\x42\1\x20\0\x7c\x21\0\x0b"
"""A loop in which local 0 changes."""


def _locals() -> bytes:
    return module(*functions(body(LOCAL_STEP * 2000, i64_locals=50_000)))


def _nested_ifs() -> bytes:
    return module(*functions(body(b"\x41\1\x04\x40" * 20_000 + b"\x0b" * 20_000)))


def _nested_within_the_limit() -> bytes:
    one = b"\x41\1\x04\x40" * 255 + b"\x0b" * 255
    return module(*functions(*[body(one * 80)] * 30))


def _branch_tables() -> bytes:
    """Tables of branches, each with 4,000 targets 250 blocks deep."""
    table = b"\x41\0\x0e" + uint(4000) + b"".join(uint(i % 250) for i in range(4001))
    one = b"\x02\x40" * 250 + table + b"\x0b" * 250
    return module(*functions(*[body(one * 14)] * 40))


def _empty_functions(count: int) -> bytes:
    return module(*functions(*[body(b"")] * count))


def _many_values() -> bytes:
    """Functions that return 1,000 values each, and call each other."""
    values = vector(*[b"\x7e"] * 1000)
    types = section(1, vector(b"\x60\0" + values))
    producer = body(b"\x42\1" * 1000)
    caller = body((b"\x10\0" + b"\x1a" * 1000) * 100 + b"\x10\0")
    code = vector(*[uint(len(one)) + one for one in (producer, *[caller] * 40)])
    return module(
        types,
        section(3, vector(*[b"\0"] * 41)),
        section(5, vector(b"\0\1")),
        section(10, code),
    )


def _segments(count: int) -> bytes:
    """Data segments that touch nowhere: each is a piece of the image that a reset puts back."""
    data = "".join(f'(data (i32.const {i * 13}) "abc")' for i in range(count))
    return guest(f'{data} (func (export "t") (result i32) (i32.const 0))', QUIET)


def _globals(count: int) -> bytes:
    fields = "(global (mut i64) (i64.const 1))" * count
    return guest(f'{fields} (func (export "t") (result i32) (i32.const 0))', QUIET)


def _large_custom_section() -> bytes:
    return guest("") + section(0, name_bytes("padding") + bytes(4 << 20))


def _slow_schema() -> bytes:
    """A schema as long as a manifest may be, of tables with as many columns as they may have."""
    tables = []
    for i in range(60):
        columns = "".join(f", c{j} int" for j in range(254))
        tables.append(f"create table bomb{i} (id int primary key{columns}, id int);")
    return guest("", {"abi": 1, "name": "m", "schema": " ".join(tables)})


BOMBS = [
    Hostile("50,000 locals and 2,000 loops", _locals, "50,000 locals; locals_max is 1,000"),
    Hostile("ifs nested 20,000 deep", _nested_ifs, "nesting_max is 256"),
    Hostile("100,000 empty functions", lambda: _empty_functions(100_000), "functions_max is 5,000"),
    Hostile("a module above its limit", _large_custom_section, "module_bytes_max is 4,194,304"),
    Hostile(
        "locals times loops within every limit of shape",
        bomb,
        "compile_cpu_s_max is 1",
        limits=SHORT,
    ),
    Hostile(
        "more memory than the compiler has",
        bomb,
        "compile_bytes_max is 62,914,560",
        limits=ModuleLimits(compile_bytes_max=60 << 20),
    ),
    Hostile(
        "blocks nested to the limit, in every function",
        _nested_within_the_limit,
        "compile_cpu_s_max is 1",
        limits=SHORT,
    ),
    Hostile(
        "branch tables of 4,000 targets", _branch_tables, "compile_cpu_s_max is 1", limits=SHORT
    ),
    Hostile("functions of 1,000 results", _many_values, "compile_cpu_s_max is 1", limits=SHORT),
    Hostile(
        "5,000 data segments apart from each other",
        lambda: _segments(5000),
        calls=(call("t", ends=COMMITTED),),
    ),
    Hostile("1,000 mutable globals", lambda: _globals(1000), calls=(call("t", ends=COMMITTED),)),
    Hostile("a schema of 15,000 columns, the last of them twice", _slow_schema, "column id"),
]
"""All of them."""
