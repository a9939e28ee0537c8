"""From typed expressions to instructions: registers, jumps, and the scales of decimals.

Registers of constants and parameters come first, but how many constants there are is known last. So
until the end constant i is i, parameter i is `PARAMETERS + i` and temporary i is `TEMPORARIES + i`.

A temporary is free again when its reader has been emitted. A column is loaded once and stays in its
register; what was loaded behind a jump is forgotten where the ways meet.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from reifydb.engine.catalog import DECIMAL_PRECISION_MAX, Type, Value
from reifydb.sql.conversions import conversion
from reifydb.sql.expressions import (
    Case,
    ColumnRef,
    Constant,
    Expression,
    Kind,
    Operation,
    Parameter,
)
from reifydb.sql.opcodes import CANNOT_FAIL, JUMPS, NONE, OPCODES, THREE_OPERANDS, form

PARAMETERS, TEMPORARIES = 1 << 20, 1 << 21
INT_DIGITS = 19
"""Digits that an int may need."""

_COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "same"})
_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "mod", "neg", "abs"})
_ROUNDING = {"round": "scale_down", "floor": "scale_floor", "ceil": "scale_ceil"}
_ROUNDING["trunc"] = "scale_trunc"
_TURNED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


@dataclass(slots=True)
class Instruction:
    """One instruction with registers as this module numbers them."""

    op: int
    dst: int
    a: int
    b: int
    imm: int
    at: int
    c: int | None = None


class Emitter:
    """Collects the instructions of one program.

    Args:
        inputs: Which inputs of the expressions the program's rows are of, in their order.
    """

    def __init__(self, inputs: Sequence[int]) -> None:
        self.inputs = {source: position for position, source in enumerate(inputs)}
        self.columns_needed = [0] * len(inputs)
        self.code: list[Instruction] = []
        self.constants: dict[tuple[Kind, type, Value], int] = {}
        self.temporaries = 0
        self._free: list[int] = []
        self._loaded: dict[tuple[int, int], int] = {}
        self._at = 0

    # -------------------------------------------------------------- expressions

    def emit(self, node: Expression, into: int | None = None) -> int:
        """Instructions that compute a node; the register where its value is.

        Args:
            into: The register to compute it into, which nothing that it reads is in.
        """
        before, self._at = self._at, node.at
        try:
            match node:
                case Constant():
                    return self._constant(node, into)
                case Parameter(index=index):
                    return self._moved(PARAMETERS + index, into)
                case ColumnRef():
                    return self._column(node, into)
                case Case():
                    return self._case(node, into)
                case Operation():
                    return self._operation(node, into)
            raise AssertionError(f"{type(node).__name__} is not of a row")
        finally:
            self._at = before

    def release(self, register: int) -> None:
        """The value in a register is not needed any more."""
        if register >= TEMPORARIES and register not in self._loaded.values():
            heapq.heappush(self._free, register)

    def _constant(self, node: Constant, into: int | None) -> int:
        if into is not None and node.value is None:
            return self.add("set_null", into)
        key = (node.kind, type(node.value), node.value)
        return self._moved(self.constants.setdefault(key, len(self.constants)), into)

    def _moved(self, register: int, into: int | None) -> int:
        return register if into is None else self.add("move", into, register)

    def _column(self, node: ColumnRef, into: int | None) -> int:
        source = self.inputs[node.source]
        self.columns_needed[source] = max(self.columns_needed[source], node.place + 1)
        found = self._loaded.get((source, node.place))
        if found is not None:
            return self._moved(found, into)
        name = "load_tail" if form(node.kind.type) == "tail" else "load_word"
        register = self.allocate() if into is None else into
        self.add(name, register, source, imm=node.place)
        if into is None:
            self._loaded[source, node.place] = register
        return register

    def _case(self, node: Case, into: int | None) -> int:
        target = self.allocate() if into is None else into
        leaves: list[Instruction] = []
        with self._branch():
            for condition, value in node.branches:
                test = self.emit(condition)
                skip = self.jump("jump_unless", test)
                self.release(test)
                with self._branch():
                    self.emit(value, target)
                leaves.append(self.jump("jump"))
                self.land(skip)
            self.emit(node.otherwise, target)
        self.land(*leaves)
        return target

    def _operation(self, node: Operation, into: int | None) -> int:
        match node.op:
            case "and" | "or":
                return self._connective(node, into)
            case "in":
                return self._in(node, into)
            case "coalesce":
                return self._coalesce(node, into)
            case "greatest" | "least":
                return self._extreme(node, into)
            case "cast":
                return self._cast(node.args[0], node.kind, into)
            case op if op in _COMPARISONS:
                left, right = self.emit(node.args[0]), self.emit(node.args[1])
                target = self._compare(op, node.args[0], left, node.args[1], right, into)
                self.release(left)
                self.release(right)
                return target
            case op if op in _ARITHMETIC:
                return self._arithmetic(node, into)
            case op if op in _ROUNDING:
                return self._rounding(node, into)
        return self._plain(node, into)

    def _plain(self, node: Operation, into: int | None) -> int:
        """An operation that is one instruction."""
        name = "sign_float" if node.op == "sign" and node.kind.type is Type.FLOAT else node.op
        registers = [self.emit(arg) for arg in node.args]
        target = self.allocate() if into is None else into
        a, b, c = (*registers, NONE, NONE, NONE)[:3]
        self.add(name, target, a, b, node.imm, c=c if OPCODES[name] in THREE_OPERANDS else None)
        for register in registers:
            self.release(register)
        return target

    # -------------------------------------------------------------- three-valued logic, choices

    def _connective(self, node: Operation, into: int | None) -> int:
        """`and`, `or`: what can fail is left out where the answer is known before."""
        target = self.allocate() if into is None else into
        self.emit(node.args[0], target)
        leave = "jump_if_false" if node.op == "and" else "jump_if_true"
        leaves: list[Instruction] = []
        with self._branch():
            for arg in node.args[1:]:
                jump = self.jump(leave, target)
                start = len(self.code)
                register = self.emit(arg)
                if all(made.op in CANNOT_FAIL for made in self.code[start:]):
                    self._forget(start)
                else:
                    leaves.append(jump)
                self.add(node.op, target, target, register)
                self.release(register)
        self.land(*leaves)
        return target

    def _forget(self, start: int) -> None:
        """Takes the jump before `start` out again: those after it land one instruction earlier."""
        del self.code[start - 1]
        for made in self.code[start - 1 :]:
            if made.op in JUMPS:
                made.imm -= 1

    def _in(self, node: Operation, into: int | None) -> int:
        target = self.allocate() if into is None else into
        value, *options = node.args
        wanted = self.emit(value)
        for position, option in enumerate(options):
            register = self.emit(option)
            if position == 0:
                self._compare("eq", value, wanted, option, register, target)
            else:
                found = self._compare("eq", value, wanted, option, register, None)
                self.add("or", target, target, found)
                self.release(found)
            self.release(register)
        self.release(wanted)
        return target

    def _coalesce(self, node: Operation, into: int | None) -> int:
        target = self.allocate() if into is None else into
        leaves: list[Instruction] = []
        self.emit(node.args[0], target)
        with self._branch():
            for arg in node.args[1:]:
                leaves.append(self.jump("jump_if_value", target))
                self.emit(arg, target)
        self.land(*leaves)
        return target

    def _extreme(self, node: Operation, into: int | None) -> int:
        """`greatest`, `least`: nulls do not take part."""
        target = self.allocate() if into is None else into
        self.emit(node.args[0], target)
        name = ("ge_" if node.op == "greatest" else "le_") + form(node.kind.type)
        for arg in node.args[1:]:
            register = self.emit(arg)
            missing = self.jump("jump_if_null", register)
            test = self.allocate()
            self.add(name, test, target, register)
            kept = self.jump("jump_if_true", test)
            self.add("move", target, register)
            self.land(missing, kept)
            self.release(test)
            self.release(register)
        return target

    # -------------------------------------------------------------- numbers

    def _cast(self, arg: Expression, kind: Kind, into: int | None) -> int:
        steps = conversion(arg.kind, kind)
        if not steps:
            return self.emit(arg, into)
        register = self.emit(arg)
        for name, imm in steps:
            register = self._step(name, register, imm)
        return self._settle(register, into)

    def _step(self, name: str, register: int, imm: int = 0) -> int:
        """One instruction on a register that is not needed after it."""
        target = self.allocate()
        self.add(name, target, register, imm=imm)
        self.release(register)
        return target

    def _settle(self, register: int, into: int | None) -> int:
        """Where the last instruction wrote, or `into`, where it is made to write instead."""
        if into is None:
            return register
        self.code[-1].dst = into
        self.release(register)
        return into

    def _scaled(self, arg: Expression, scale: int) -> int:
        """An int or a decimal as units of another scale, which is no smaller."""
        register, up = self.emit(arg), scale - arg.kind.scale
        return self._step("scale_up", register, up) if up else register

    def _floated(self, arg: Expression) -> int:
        return self._cast(arg, Kind(Type.FLOAT), None)

    def _arithmetic(self, node: Operation, into: int | None) -> int:
        op, kind, args = node.op, node.kind, node.args
        if kind.type is Type.FLOAT:
            registers = [self._floated(arg) for arg in args]
            return self._result(op + "_float", registers, 0, None, into)
        scales = [arg.kind.scale for arg in args]
        if op == "mul":
            cut, fit = sum(scales) - kind.scale, self._digits(node) > DECIMAL_PRECISION_MAX
            registers = [self.emit(arg) for arg in args]
            name = "mul_decimal" if cut else "mul"
            return self._result(name, registers, cut, kind if fit else None, into)
        if op == "div" and kind.type is Type.DECIMAL:
            shift = kind.scale + scales[1] - scales[0]
            registers = [self.emit(arg) for arg in args]
            return self._result("div_decimal", registers, shift, kind, into)
        registers = [self._scaled(arg, kind.scale) for arg in args]
        fit = self._digits(node) > DECIMAL_PRECISION_MAX
        return self._result(op, registers, 0, kind if fit else None, into)

    def _result(
        self, name: str, registers: list[int], imm: int, fit: Kind | None, into: int | None
    ) -> int:
        a, b = (*registers, 0)[:2]
        target = self.allocate()
        self.add(name, target, a, b, imm)
        for register in registers:
            self.release(register)
        if fit is not None and fit.type is Type.DECIMAL:
            target = self._step("fit", target, fit.precision)
        return self._settle(target, into)

    def _digits(self, node: Operation) -> int:
        """Digits that the result of decimals may need, were there no limit."""
        digits = [_digits_of(arg) for arg in node.args]
        if node.op == "mul":
            return sum(digits)
        whole = max(d - arg.kind.scale for d, arg in zip(digits, node.args, strict=True))
        return whole + node.kind.scale + (node.op in ("add", "sub"))

    def _rounding(self, node: Operation, into: int | None) -> int:
        arg = node.args[0]
        if arg.kind.type is Type.FLOAT:
            return self._settle(self._step(node.op, self.emit(arg)), into)
        down = arg.kind.scale - node.kind.scale
        if down == 0:
            return self.emit(arg, into)
        return self._settle(self._step(_ROUNDING[node.op], self.emit(arg), down), into)

    def _compare(
        self, op: str, left: Expression, a: int, right: Expression, b: int, into: int | None
    ) -> int:
        """Compares registers that its caller goes on holding.

        Numbers of different scales are compared exactly, and that never fails.
        """
        kinds = left.kind, right.kind
        if Type.FLOAT in (kinds[0].type, kinds[1].type):
            return self._compare_floats(op, (left, a), (right, b), into)
        up = kinds[1].scale - kinds[0].scale
        if up < 0:
            return self._compare(_TURNED.get(op, op), right, b, left, a, into)
        target = self.allocate() if into is None else into
        if up == 0:
            self.add(f"{op}_{form(kinds[0].type)}", target, a, b)
        elif _digits_of(left) + up <= DECIMAL_PRECISION_MAX:
            scaled = self._copy("scale_up", a, up)
            self.add(f"{op}_word", target, scaled, b)
            self.release(scaled)
        else:
            self._compare_bounds(op, target, a, b, up)
        return target

    def _compare_bounds(self, op: str, target: int, a: int, b: int, down: int) -> None:
        """Compares `a` with `b`, which has more digits behind the point, without scaling `a` up."""
        if op in ("lt", "le", "gt", "ge"):
            name = "scale_ceil" if op in ("lt", "ge") else "scale_floor"
            bound = self._copy(name, b, down)
            self.add(f"{op}_word", target, a, bound)
            self.release(bound)
            return
        low, high = self._copy("scale_floor", b, down), self._copy("scale_ceil", b, down)
        test = self.allocate()
        name = "same_word" if op == "same" else "eq_word"
        self.add(name, target, a, low)
        self.add(name, test, a, high)
        self.add("and", target, target, test)
        if op == "ne":
            self.add("not", target, target)
        for register in (low, high, test):
            self.release(register)

    def _compare_floats(
        self, op: str, left: tuple[Expression, int], right: tuple[Expression, int], into: int | None
    ) -> int:
        made, registers = [], []
        for arg, register in (left, right):
            steps = conversion(arg.kind, Kind(Type.FLOAT))
            for name, imm in steps:
                register = self._copy(name, register, imm)
                made.append(register)
            registers.append(register)
        target = self.allocate() if into is None else into
        self.add(f"{op}_float", target, *registers)
        for register in made:
            self.release(register)
        return target

    def _copy(self, name: str, register: int, imm: int) -> int:
        target = self.allocate()
        return self.add(name, target, register, imm=imm)

    # -------------------------------------------------------------- instructions

    def add(
        self, name: str, dst: int, a: int = 0, b: int = 0, imm: int = 0, *, c: int | None = None
    ) -> int:
        """One more instruction; the register that it writes."""
        self.code.append(Instruction(OPCODES[name], dst, a, b, imm, self._at, c))
        return dst

    def jump(self, name: str, test: int = 0) -> Instruction:
        """A jump, which is to `land`."""
        self.add(name, 0, test)
        return self.code[-1]

    def land(self, *jumps: Instruction) -> None:
        """Jumps go on with the next instruction."""
        for jump in jumps:
            jump.imm = len(self.code)

    def allocate(self) -> int:
        """A free temporary."""
        if self._free:
            return heapq.heappop(self._free)
        self.temporaries += 1
        return TEMPORARIES + self.temporaries - 1

    @contextmanager
    def _branch(self) -> Iterator[None]:
        """What is loaded within may not be loaded behind it."""
        before = dict(self._loaded)
        yield
        gone = [register for register in self._loaded.values() if register not in before.values()]
        self._loaded = before
        for register in gone:
            self.release(register)


def _digits_of(node: Expression) -> int:
    """Digits of an int or a decimal, those of its type unless it is a constant."""
    if node.kind.type is Type.DECIMAL:
        return node.kind.precision
    if isinstance(node, Constant) and isinstance(node.value, int):
        return len(str(abs(node.value)))
    return INT_DIGITS
