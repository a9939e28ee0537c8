"""Who waits for an answer does so for a while only."""

from __future__ import annotations

import asyncio

import pytest

from reifydb.errors import WaitTimeoutError
from reifydb.gateway import patience as module
from reifydb.gateway.patience import Patience


async def test_who_waits_too_long_is_told_and_others_wait_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "answer_ms_max", 100)
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    loop = asyncio.get_running_loop()
    patience = Patience(loop)
    early, late, done = loop.create_future(), loop.create_future(), loop.create_future()
    patience.begin(early)
    patience.begin(done)
    done.set_result(None)
    await asyncio.sleep(0.06)
    patience.begin(late)
    with pytest.raises(WaitTimeoutError, match="answer_ms_max"):
        await early
    assert not late.done()
    for waits in (early, late, done):
        patience.end(waits)
    await asyncio.sleep(0.05)
    assert patience._timer is None
    patience.close()
