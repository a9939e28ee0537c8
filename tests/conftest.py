"""Settings that all tests share: how Hypothesis draws its examples."""

import os

from hypothesis import HealthCheck, settings

# Deterministic in CI, so that a failure there is a failure here; print_blob tells how to repeat it.
settings.register_profile(
    "ci",
    derandomize=True,
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "dev", print_blob=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
