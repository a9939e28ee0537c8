"""Who waits for an answer does so for a while only."""

from __future__ import annotations

import asyncio

import pytest

from reifydb.errors import ReifyDBError
from reifydb.gateway import patience as module
from reifydb.gateway.patience import Patience


class Waiter:
    def __init__(self) -> None:
        self.told: ReifyDBError | None = None

    def expire(self, error: ReifyDBError) -> None:
        self.told = error


async def test_who_waits_too_long_is_told_and_others_wait_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "answer_ms_max", 100)
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    loop = asyncio.get_running_loop()
    patience = Patience(loop)
    early, late, done = Waiter(), Waiter(), Waiter()
    patience.begin(early)
    patience.begin(done)
    patience.end(done)
    await asyncio.sleep(0.06)
    patience.begin(late)
    await asyncio.sleep(0.08)
    assert early.told is not None
    assert early.told.code == "wait_timeout"
    assert "answer_ms_max" in str(early.told)
    assert late.told is done.told is None
    for waits in (early, late):
        patience.end(waits)
    await asyncio.sleep(0.05)
    assert patience._timer is None
    patience.close()
