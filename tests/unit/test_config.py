"""Settings are checked before they do harm: a deadline that is text would never end a loop."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

import reifydb
from reifydb.config import MAY_BE_ZERO

SETTINGS = [
    (kind, f.name) for kind in (reifydb.Options, reifydb.ModuleLimits) for f in fields(kind)
]


@pytest.mark.parametrize(("kind", "name"), SETTINGS)
@pytest.mark.parametrize("value", ["5", float("nan"), float("inf"), -1, 1 << 70, True, [1]])
def test_a_setting_that_is_no_number_is_refused_by_name(
    kind: Any, name: str, value: object
) -> None:
    with pytest.raises(reifydb.RequestError, match=f"^{name} is "):
        kind(**{name: value})


@pytest.mark.parametrize(("kind", "name"), SETTINGS)
def test_zero_is_refused_but_where_it_makes_sense(kind: Any, name: str) -> None:
    if name in MAY_BE_ZERO:
        kind(**{name: 0})
    else:
        with pytest.raises(reifydb.RequestError, match=f"^{name} is 0"):
            kind(**{name: 0})
