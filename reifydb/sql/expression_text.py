"""From a typed expression back to SQL: how a check is kept, shown, and renamed.

What is read of the text is the same expression again. Operands that are operations stand in
parentheses, so nobody needs to know which operator goes first.
"""

from __future__ import annotations

from collections.abc import Callable

from reifydb.engine.catalog import Type
from reifydb.sql import literals
from reifydb.sql.constants import of_number
from reifydb.sql.expressions import (
    FLOAT,
    INT,
    TEXT,
    Case,
    ColumnRef,
    Constant,
    Expression,
    Operation,
)
from reifydb.sql.functions import EXTRACT_FIELDS, FUNCTIONS, TRUNC_UNITS
from reifydb.sql.intervals import render_interval

Name = Callable[[ColumnRef], str]

_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "mod": "%",
    "power": "^",
    "concat": "||",
    "eq": "=",
    "ne": "<>",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "and": "and",
    "or": "or",
    "same": "is not distinct from",
    "json_get": "->",
    "json_at": "->",
}
_POSTFIX = {"is_null": "is null", "is_value": "is not null"}
_TRIMS = {1: "ltrim", 2: "rtrim", 3: "btrim"}
_CALLS = {function.op: function.name for function in FUNCTIONS if function.op != "trim"}
_UNITS = {number: name for name, number in TRUNC_UNITS.items()}
_FIELDS = {number: name for name, number in EXTRACT_FIELDS.items()}


def render_expression(node: Expression, name: Name, *, exact: bool = False) -> str:
    """The SQL of an expression.

    Args:
        name: The name of a column, quoted where that is needed.
        exact: Each decimal says its type; else those are as short as they can be, which may be
            read as other types where nothing beside them says theirs.
    """
    return _Text(name, exact).text(node)


class _Text:
    def __init__(self, name: Name, exact: bool) -> None:
        self.name, self.exact = name, exact

    def text(self, node: Expression) -> str:
        """One node with all below it."""
        match node:
            case ColumnRef():
                return self.name(node)
            case Constant():
                return self.constant(node)
            case Case():
                branches = " ".join(
                    f"when {self.text(test)} then {self.text(value)}"
                    for test, value in node.branches
                )
                return f"case {branches} else {self.text(node.otherwise)} end"
            case Operation():
                return self.operation(node)
        raise AssertionError(f"{type(node).__name__} has no text")

    def operand(self, node: Expression) -> str:
        """A node as a part of another one."""
        found = self.text(node)
        if isinstance(node, Operation) and (node.op in _INFIX or node.op in _MORE):
            return f"({found})"
        return f"({found})" if found.startswith("-") else found

    def operation(self, node: Operation) -> str:
        """An operator or a call."""
        op, args = node.op, node.args
        if op in _INFIX:
            return f" {_INFIX[op]} ".join(self.operand(arg) for arg in args)
        if op in _POSTFIX:
            return f"{self.operand(args[0])} {_POSTFIX[op]}"
        match op:
            case "not" | "neg":
                return ("not " if op == "not" else "- ") + self.operand(args[0])
            case "cast":
                return f"cast({self.text(args[0])} as {node.kind.sql})"
            case "in":
                options = ", ".join(self.text(arg) for arg in args[1:])
                return f"{self.operand(args[0])} in ({options})"
            case "like":
                return self.like(node)
            case "json_text":
                return self.json_text(args[0])
            case "trim":
                return self.call(_TRIMS[node.imm], args)
            case "date_trunc":
                return f"date_trunc('{_UNITS[node.imm]}', {self.text(args[0])})"
            case "extract" | "fit":
                field = "epoch" if op == "fit" else _FIELDS[node.imm]
                return f"extract({field} from {self.text(args[0])})"
            case "add_months":
                months = int(args[1].value or 0) if isinstance(args[1], Constant) else 0
                return f"{self.operand(args[0])} + interval '{months} months'"
            case "round" | "trunc" if node.kind.scale:
                return f"{op}({self.text(args[0])}, {node.kind.scale})"
        return self.call(_CALLS.get(op, op), args)

    def call(self, name: str, args: tuple[Expression, ...]) -> str:
        """`name(…)`."""
        return f"{name}({', '.join(self.text(arg) for arg in args)})"

    def like(self, node: Operation) -> str:
        """`like`, which always says its escape."""
        word = "ilike" if node.imm & 1 else "like"
        escape = literals.quoted(chr(node.imm >> 8) if node.imm >> 8 else "")
        text, pattern = (self.operand(arg) for arg in node.args)
        return f"{text} {word} {pattern} escape {escape}"

    def json_text(self, arg: Expression) -> str:
        """`->>`."""
        assert isinstance(arg, Operation)
        document, key = (self.operand(part) for part in arg.args)
        return f"{document} ->> {key}"

    def constant(self, node: Constant) -> str:
        """A literal, with its type where it would be read as another."""
        value, kind = node.value, node.kind
        if value is None:
            return "null" if kind == TEXT and not self.exact else f"cast(null as {kind.sql})"
        if kind.interval:
            assert isinstance(value, int)
            return f"interval '{render_interval(value)}'"
        text = literals.sql(kind.column("literal"), value)
        if kind.type in (Type.BOOL, Type.TEXT) or kind == INT:
            return text
        if kind == FLOAT:
            return text if "e" in text else f"{text}e0"
        if kind.type is Type.DECIMAL:
            text = text if "." in text else f"{text}."
            plain = not self.exact or of_number(text, 0).kind == kind
            return text if plain else f"cast({text} as {kind.sql})"
        return f"cast({text} as {kind.sql})"


_MORE = {"not", "neg", "in", "like", "json_text", "add_months", *_POSTFIX}
