"""The process that hostile modules are tried in."""

from collections.abc import Iterator

import pytest

from tests.hostile.worker import Worker


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    started = Worker()
    yield started
    started.close()
