"""The growth benchmark makes the transfers that it counts. Its figures mean nothing here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import growth
from bench.measure import Sizes


def test_every_size_makes_its_transfers_and_has_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "BATCH", 500)
    sizes = Sizes(growth=(100, 1000), rounds=2, scale=0.001)
    found = growth.measure(tmp_path, sizes, lambda text: None)
    assert [size["accounts"] for size in found["sizes"]] == [100, 1000]
    for size in found["sizes"]:
        assert size["packed_us"] == min(size["packed_us_turns"])
        assert len(size["call_us_turns"]) == 2
        assert 50 < size["kernel_bytes_per_row"] < 100
    assert found["packed_us_growth"] > 0
