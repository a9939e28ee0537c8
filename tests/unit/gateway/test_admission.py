"""When new requests are refused."""

from __future__ import annotations

import pytest

from reifydb.config import queue_delay_ms_max, waiting_peers_max, waiting_requests_max
from reifydb.errors import OverloadedError, UnavailableError
from reifydb.gateway.admission import LATE_S, Admission

LATE = queue_delay_ms_max / 1000 + 0.1


def test_as_many_as_are_allowed_may_wait() -> None:
    admission = Admission()
    admission.check(0, waiting_requests_max - 1, waiting_peers_max - 1)
    with pytest.raises(OverloadedError, match="waiting_requests_max"):
        admission.check(0, waiting_requests_max, 0)
    with pytest.raises(OverloadedError, match="waiting_peers_max"):
        admission.check(0, 0, waiting_peers_max)
    assert admission.refused == 2


def test_one_late_tick_refuses_nobody() -> None:
    admission = Admission()
    admission.saw(10, LATE)
    admission.check(10, 0, 0)
    admission.check(10 + 2 * LATE_S, 0, 0)


def test_late_ticks_for_a_while_refuse_until_one_is_on_time() -> None:
    admission = Admission()
    for now in (10.0, 10.5, 11.0):
        admission.saw(now, LATE)
    with pytest.raises(UnavailableError, match="queue_delay_ms_max"):
        admission.check(11.1, 0, 0)
    admission.saw(11.2, 0.001)
    admission.check(11.2, 0, 0)


def test_who_was_refused_is_let_in_when_nothing_has_happened_since() -> None:
    """Nothing is measured while all are refused."""
    admission = Admission()
    for now in (10.0, 10.5, 11.0):
        admission.saw(now, LATE)
    with pytest.raises(UnavailableError):
        admission.check(11.0 + LATE_S / 2, 0, 0)
    admission.check(11.0 + LATE_S, 0, 0)
