"""Every hostile module by what it does. Trials with each host function come on top: trial.EACH."""

from __future__ import annotations

from collections.abc import Mapping

from tests.hostile.binaries import BINARIES
from tests.hostile.bombs import BOMBS
from tests.hostile.calls import CALLS
from tests.hostile.entry import Hostile, by_name
from tests.hostile.manifests import MANIFESTS, MISFITS
from tests.hostile.values import VALUES

CORPUS: Mapping[str, Hostile] = by_name(BINARIES, MANIFESTS, MISFITS, BOMBS, CALLS, VALUES)
