"""What installing a module would do, and that it does nothing."""

from __future__ import annotations

import reifydb
from tests.guests.databases import no_trace


def test_a_plan_says_what_an_installation_then_does(bank_wasm: bytes) -> None:
    with reifydb.open(":memory:") as db:
        with no_trace(db):
            alone = db.plan(bank_wasm)
            plan = db.plan(bank_wasm, apply_schema=True)
        assert "binds table 'account', which does not exist" in alone.problems[0]
        assert (plan.problems, plan.tables, plan.changed, plan.removed) == (
            (),
            ("account",),
            (),
            (),
        )
        module = db.install(bank_wasm, apply_schema=True)
        assert set(plan.added) == set(module.transitions)
        assert plan.sha256 == module.sha256
        with no_trace(db):
            again = db.plan(bank_wasm, apply_schema=True)
        assert (again.problems, again.tables, again.added, again.changed) == ((), (), (), ())


def test_a_plan_names_what_is_in_the_way(bank_wasm: bytes) -> None:
    with reifydb.open(":memory:") as db:
        db.execute("create table account (id int primary key, owner text not null)")
        with no_trace(db):
            plan = db.plan(bank_wasm, apply_schema=True)
        assert any("table account is there already" in problem for problem in plan.problems)
