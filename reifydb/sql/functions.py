"""The catalogue of scalar functions: names, arguments, results, and the operation each becomes.

docs/sql.md, "Expressions", has a row for each, with an example; a test compares, and runs it.
"""

from __future__ import annotations

from dataclasses import dataclass

from reifydb.sql.expressions import BOOL, FLOAT, INT, JSON, TEXT, TIMESTAMP, Kind

KINDS = {
    "text": TEXT,
    "int": INT,
    "float": FLOAT,
    "json": JSON,
    "bool": BOOL,
    "timestamp": TIMESTAMP,
}


@dataclass(frozen=True, slots=True)
class Function:
    """One function.

    Attributes:
        arguments: Their kinds as the page writes them; in brackets what may be left out. A word
            that is no kind (`number`, `any`, `unit`) is of a function that `calls.py` reads itself.
        result: The kind of the result; None where it depends on the arguments.
        op: The operation, of `expressions.Operation`; empty where `calls.py` says it.
        nullable: The result can be null even though no argument is.
        also: Other names.
    """

    name: str
    arguments: tuple[str, ...]
    result: Kind | None = None
    op: str = ""
    imm: int = 0
    nullable: bool = False
    also: tuple[str, ...] = ()

    @property
    def signature(self) -> str:
        """As the page writes it: `substr(text, int [, int])`."""
        text = ""
        for position, argument in enumerate(self.arguments):
            comma = ", " if position else ""
            optional = argument.startswith("[")
            text += f" [{comma}{argument.strip('[]')}]" if optional else comma + argument
        return f"{self.name}({text})"

    @property
    def least(self) -> int:
        """So many arguments there must be."""
        return sum(not argument.startswith("[") for argument in self.arguments)


def _function(
    signature: str,
    result: Kind | None = None,
    op: str = "",
    imm: int = 0,
    *,
    nullable: bool = False,
    also: str = "",
) -> Function:
    name, *arguments = signature.split()
    other = tuple(also.split())
    return Function(name, tuple(arguments), result, op or name, imm, nullable, other)


FUNCTIONS = (
    _function("lower text", TEXT),
    _function("upper text", TEXT),
    _function("length text", INT, also="char_length character_length"),
    _function("octet_length text", INT),
    _function("substr text int [int]", TEXT, also="substring"),
    _function("btrim text [text]", TEXT, "trim", 3, also="trim"),
    _function("ltrim text [text]", TEXT, "trim", 1),
    _function("rtrim text [text]", TEXT, "trim", 2),
    _function("replace text text text", TEXT),
    _function("strpos text text", INT, "position"),
    _function("starts_with text text", BOOL),
    _function("left text int", TEXT),
    _function("right text int", TEXT),
    _function("repeat text int", TEXT),
    _function("lpad text int [text]", TEXT),
    _function("rpad text int [text]", TEXT),
    _function("reverse text", TEXT),
    _function("concat text …"),
    _function("abs number"),
    _function("sign number"),
    _function("mod number number"),
    _function("round number [digits]"),
    _function("floor number"),
    _function("ceil number", also="ceiling"),
    _function("trunc number [digits]"),
    _function("sqrt float", FLOAT),
    _function("power float float", FLOAT, also="pow"),
    _function("exp float", FLOAT),
    _function("ln float", FLOAT),
    _function("coalesce any …"),
    _function("nullif any any"),
    _function("greatest any …"),
    _function("least any …"),
    _function("date_trunc unit timestamp", TIMESTAMP),
    _function("json_typeof json", TEXT, "json_type", also="jsonb_typeof"),
    _function(
        "json_array_length json", INT, "json_length", nullable=True, also="jsonb_array_length"
    ),
)

BY_NAME: dict[str, Function] = {
    name: function for function in FUNCTIONS for name in (function.name, *function.also)
}

TRUNC_UNITS = {
    name: number
    for number, name in enumerate(
        "millisecond second minute hour day week month quarter year".split(), 1
    )
}
"""What `date_trunc` cuts to; "milliseconds" is another word for the first."""

EXTRACT_FIELDS = {
    name: number
    for number, name in enumerate(
        "year quarter month week day dow isodow doy hour minute second epoch milliseconds "
        "microseconds isoyear".split(),
        1,
    )
}
"""What `extract` takes out of a timestamp."""

EXTRACT_DECIMALS = {"second": (8, 6), "epoch": (18, 6), "milliseconds": (8, 3)}
"""Precision and scale of those that are not whole."""

HINTS = {
    "now": "a query sees no clock: pass the moment as a parameter",
    "current_timestamp": "a query sees no clock: pass the moment as a parameter",
    "clock_timestamp": "a query sees no clock: pass the moment as a parameter",
    "random": "a query has no dice: pass the number as a parameter",
    "gen_random_uuid": "a query has no dice: pass the uuid as a parameter",
    "date_part": "extract(FIELD from TIMESTAMP)",
    "ifnull": "coalesce(…)",
    "nvl": "coalesce(…)",
    "instr": "position(… in …)",
    "len": "length(…)",
    "to_char": "extract(…) and || make texts of timestamps; cast(… as text) of numbers",
    "exists": "exists (select …)",
    "first": "arg_min(x, by): of the row in which by is least",
    "last": "arg_max(x, by): of the row in which by is greatest",
    "group_concat": "string_agg(x, ',')",
    "json_agg": "array_agg(x)",
    "jsonb_agg": "array_agg(x)",
    "mode": "count the values in a query in from, and take arg_max(value, count)",
    "row_number": "row_number() over (partition by … order by …), in a query in from",
}
"""Functions that there are elsewhere, and what to write instead."""
