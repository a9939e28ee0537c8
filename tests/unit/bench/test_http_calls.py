"""The HTTP benchmark asks real servers, and all that it asks for is done. Its figures mean nothing
here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import reifydb
from bench import http_calls, http_load
from bench.bank import check_bank
from bench.http_calls import ACCOUNTS
from bench.measure import Sizes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


def test_every_contender_answers_and_has_its_figures(tmp_path: Path) -> None:
    found = http_calls.measure(tmp_path, Sizes(rounds=1, scale=0.0), lambda text: None)
    assert list(found["connections"]) == ["8", "64"]
    for contenders in found["connections"].values():
        assert list(contenders) == ["bare aiohttp", "memory", "log, committed", "log, durable"]
        for row in contenders.values():
            assert row["per_s"] > 0
            assert len(row["cpu_us_turns"]) == 1
    with reifydb.open(tmp_path / "bank.reify") as db:
        made = 2 * 2 * 2 * found["requests"]  # a round that warms up, two contenders
        assert db.lsn == made + ACCOUNTS + 1
        check_bank(db, ACCOUNTS)


def test_an_answer_is_whole_when_all_of_it_is_there() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert http_load.is_whole(answer)
    assert not any(http_load.is_whole(answer[:end]) for end in range(len(answer)))
    with pytest.raises(http_load.AnswerError):
        http_load.is_whole(b"HTTP/1.1 404 Not Found\r\n\r\n")
