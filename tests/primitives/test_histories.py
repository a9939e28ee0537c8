"""Random histories of every primitive. `STEPS` of each in every run of the tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.primitives.counters import CounterModel
from tests.primitives.histograms import HistogramModel
from tests.primitives.limiters import LimiterModel
from tests.primitives.machine import Machine
from tests.primitives.model import Model
from tests.primitives.rings import RingModel
from tests.primitives.sequences import SequenceModel

STEPS = 10_000

_HOSTILE = ["", "a", "b" * 200, "ä\0ö", "'; drop table x"]

SUBJECTS: dict[str, Callable[[], Sequence[Model]]] = {
    "counters": lambda: [
        CounterModel("views", [("text", _HOSTILE)]),
        CounterModel("stock", [("int", [1, -1, 2**63 - 1]), ("text", _HOSTILE)], 0, 20),
        CounterModel("visits", []),
        CounterModel("debt", [], -3, None),
    ],
    "histograms": lambda: [
        HistogramModel("latency", [("text", _HOSTILE)], 0.01),
        HistogramModel("one", [], 0.001),
        HistogramModel("coarse", [("int", [1, -1]), ("text", _HOSTILE[:2])], 0.1),
    ],
    "rings": lambda: [
        RingModel("trade", [("text", _HOSTILE)], 3),
        RingModel("one", [], 5),
        RingModel("last", [("int", [1, -1, 2**63 - 1]), ("text", _HOSTILE)], 1),
        RingModel("long", [("int", [7])], 1000),
    ],
    "limiters": lambda: [
        LimiterModel("api", [("text", _HOSTILE)], 100, 60_000_000, 20),
        LimiterModel("one", [], 7, 3_000, 3),
        LimiterModel("slow", [("int", [1, -1])], 1, 86_400_000_000, 1_000_000),
    ],
    "sequences": lambda: [
        SequenceModel("ticket", 1000, 1),
        SequenceModel("down", 5, -3),
        SequenceModel("full", 2**63 - 40, 7),
    ],
}


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("seed", range(4))
def test_a_random_history_is_the_model_s(subject: str, seed: int) -> None:
    machine = Machine(seed, SUBJECTS[subject]())
    try:
        machine.run(STEPS // 4)
    finally:
        machine.close()
    assert machine.figures["undone"] > STEPS // 200
    assert machine.figures["reopen"] > 3
    assert machine.figures["kill"] > 3
