"""A database with the guest that misbehaves."""

from collections.abc import Iterator

import pytest

import reifydb
from tests.guests.databases import open_with, zig_guest


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with open_with(zig_guest("misbehave")) as opened:
        yield opened
