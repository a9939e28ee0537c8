"""A bank's history as a function of a seed: a process performs it, a model knows what it gives.

`actions(seed)` draws without looking at any state, so whoever performs it and whoever models it
draw the same. What an action leads to depends on the state it meets: the model says that too, lsn
by lsn, so that the state after *any* commit of the history is known.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import reifydb
from sdk.build import build_guest

ROOT = Path(__file__).parents[2]
ACCOUNTS, EACH = 48, 100
LIMITS = (1_000_000, 900_000, 800_000)
"""`rows_written_max` of the module: installing it with another limit is a commit."""

OPTIONS = reifydb.Options(
    segment_bytes_max=4_000, reserve_bytes=1 << 16, durability_stall_ms_max=30_000.0
)
"""Small segments, so that a round rotates more than once."""

Action = tuple[Any, ...]


def bank_wasm() -> Path:
    return build_guest(ROOT / "examples/wasm/bank/bank.zig")


# ------------------------------------------------------------------ drawing


def actions(seed: int) -> Iterator[Action]:
    """Endlessly many: kind, then what it is given."""
    dice = random.Random(seed)

    def transfer() -> tuple[int, int, int]:
        return dice.randrange(ACCOUNTS), dice.randrange(ACCOUNTS), dice.randrange(0, 90)

    for number in range(1 << 62):
        kind = dice.choices(
            ("call", "many", "interactive", "python", "create", "install", "open"),
            (60, 12, 12, 12, 1, 1, 2),
        )[0]
        if kind == "call":
            yield kind, transfer()
        elif kind == "many":
            yield kind, [transfer() for _ in range(dice.randrange(40))]
        elif kind == "interactive":
            yield kind, transfer(), f"note {seed}/{number}", dice.random() < 0.2
        elif kind == "python":
            yield kind, [transfer() for _ in range(dice.randrange(4))], dice.random() < 0.2
        elif kind == "create":
            yield kind, [f"extra_{dice.randrange(60)}" for _ in range(dice.randrange(1, 3))]
        elif kind == "install":
            yield kind, dice.choice(LIMITS)
        else:
            yield kind, dice.randrange(ACCOUNTS, 10 * ACCOUNTS), f"owner {number}"


# ------------------------------------------------------------------ the model


class _Undone(Exception):
    """What the performer's block raises on purpose."""


@dataclass
class Model:
    """What the database holds after the last commit.

    Attributes:
        lsn: Of that commit.
    """

    lsn: int = 0
    balances: dict[int, int] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    extras: set[str] = field(default_factory=set)
    limit: int = LIMITS[0]

    @classmethod
    def initial(cls) -> Model:
        """As `prepare` leaves a new database."""
        return cls(
            3,
            dict.fromkeys(range(ACCOUNTS), EACH),
            {i: f"owner {i}" for i in range(ACCOUNTS)},
        )

    def replay(self, seed: int, up_to: int) -> dict[int, int]:
        """Goes on with this history, no further than to that lsn; checksums by lsn."""
        sums = {self.lsn: self.checksum()}
        drawn = actions(seed)
        while self.lsn < up_to:
            for _ in self.apply(next(drawn)):
                self.lsn += 1
                sums[self.lsn] = self.checksum()
                if self.lsn == up_to:
                    break
        return sums

    def checksum(self) -> int:
        return checksum(self.balances.items())

    def apply(self, action: Action) -> Iterator[None]:
        """Changes the state; yields after each commit."""
        kind, *given = action
        if kind == "call":
            if self._transfer(*given[0]):
                yield
        elif kind == "many":
            for each in given[0]:
                if self._transfer(*each):
                    yield
        elif kind == "interactive":
            (source, target, amount), note, fails = given
            if not fails:
                if source != target:
                    self.balances[source] -= amount
                    self.balances[target] += amount
                self.notes.append(note)
                yield
        elif kind == "python":
            before = dict(self.balances)
            if given[1]:
                return
            for each in given[0]:
                self._transfer(*each)
            # Rows that are as they were are no change.
            if self.balances != before:
                yield
        elif kind == "create":
            new = [name for name in dict.fromkeys(given[0]) if name not in self.extras]
            self.extras.update(new)
            if new:
                yield
        elif kind == "install":
            if given[0] != self.limit:
                self.limit = given[0]
                yield
        else:
            number, owner = given
            if number not in self.balances:
                self.balances[number], self.owners[number] = 0, owner
                yield

    def _transfer(self, source: int, target: int, amount: int) -> bool:
        if source == target or amount <= 0 or self.balances[source] < amount:
            return False
        self.balances[source] -= amount
        self.balances[target] += amount
        return True

    def compare(self, db: reifydb.Database) -> None:
        """Everything that the database holds, against this."""
        assert db.lsn == self.lsn
        rows = list(db.scan("account"))
        assert {r["id"]: r["balance"] for r in rows} == self.balances
        assert {r["id"]: r["owner"] for r in rows} == self.owners
        assert sum(self.balances.values()) == ACCOUNTS * EACH
        assert [r["text"] for r in db.scan("note")] == self.notes
        ids = [r["id"] for r in db.scan("note")]
        assert ids == sorted(ids)
        assert set(db.tables) == {"account", "note"} | self.extras
        assert db.modules["bank"].limits.rows_written_max == self.limit
        for name in self.extras:
            assert db.count(name) == 0


def checksum(balances: Any) -> int:
    return zlib.crc32(repr(sorted(balances)).encode())


# ------------------------------------------------------------------ performing


def prepare(db: reifydb.Database) -> None:
    """Three commits: tables, module, accounts."""
    db.execute("create table note (id int primary key auto_increment, text text not null)")
    db.install(bank_wasm(), apply_schema=True)
    with db.transaction() as tx:
        tx.insert_many(
            "account",
            [{"id": i, "owner": f"owner {i}", "balance": EACH} for i in range(ACCOUNTS)],
        )
    assert db.lsn == 3


def register(db: reifydb.Database) -> None:
    """The Python transition of the histories; lives in one handle only."""

    @db.transition
    def several(tx: reifydb.Transaction, transfers: list[tuple[int, int, int]], fails: bool) -> int:
        done = 0
        for each in transfers:
            try:
                tx.call("bank.transfer", *each)
                done += 1
            except reifydb.AbortedError:
                pass
        if fails:
            raise _Undone
        return done


def perform(db: reifydb.Database, action: Action) -> None:
    kind, *given = action
    try:
        if kind == "call":
            db.call("bank.transfer", *given[0])
        elif kind == "many":
            db.call_many("bank.transfer", given[0])
        elif kind == "interactive":
            _interactive(db, *given)
        elif kind == "python":
            db.call("several", *given)
        elif kind == "create":
            db.execute(
                ";".join(
                    f"create table if not exists {name} (id int primary key, t text default 'x')"
                    for name in given[0]
                )
            )
        elif kind == "install":
            limits = reifydb.ModuleLimits(rows_written_max=given[0])
            db.install(bank_wasm(), limits=limits)
        else:
            db.call("bank.open", id=given[0], owner=given[1], balance=0)
    except (reifydb.AbortedError, _Undone):
        pass


def _interactive(
    db: reifydb.Database, transfer: tuple[int, int, int], note: str, fails: bool
) -> None:
    """Unlike the bank's transfer, it may overdraw."""
    source, target, amount = transfer
    with db.transaction() as tx:
        for account, change in ((source, -amount), (target, amount)):
            row = tx.get("account", account)
            assert row is not None
            tx.update("account", {"id": account, "balance": row["balance"] + change})
        tx.insert("note", {"text": note})
        if fails:
            raise _Undone


def balances(db: reifydb.Database) -> int:
    """The checksum of what the accounts hold now."""
    return checksum((row["id"], row["balance"]) for row in db.scan("account"))
