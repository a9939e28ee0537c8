"""The pytest plugin: a fresh database for each test, virtual time, seeded randomness.

pytest loads this module in every run, wanted or not, so nothing heavy is imported before a test
asks for a fixture. docs/testing.md shows how to use it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from reifydb import Database, ModuleLimits, Options

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2000, 1, 1, tzinfo=UTC)
"""When every test begins."""

_SEED = pytest.StashKey[int]()


@dataclass(frozen=True)
class Setup:
    """What the databases of a test session begin with.

    Attributes:
        schema: SQL that is executed first.
        modules: Paths of wasm binaries, or the binaries; installed in this order, with the tables
            of their own schemas.
        options: Settings of the databases.
        limits: What the modules may use.
    """

    schema: str = ""
    modules: Sequence[str | Path | bytes] = ()
    options: Options | None = None
    limits: ModuleLimits | None = None


class Clock:
    """Virtual time: it stands still until it is advanced. Calling it gives nanoseconds since 1970,
    as `reifydb.open(clock=…)` wants.
    """

    def __init__(self, start: datetime = START) -> None:
        self._now_ns = (start - EPOCH) // timedelta(microseconds=1) * 1000

    def __call__(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return self._now_ns

    @property
    def now(self) -> datetime:
        """The time as transitions see it, in UTC."""
        return EPOCH + timedelta(microseconds=self._now_ns // 1000)

    def advance(self, seconds: float | timedelta) -> None:
        """Lets time pass.

        Raises:
            ValueError: Backwards.
        """
        if isinstance(seconds, timedelta):
            passed_ns = seconds // timedelta(microseconds=1) * 1000
        else:
            passed_ns = round(seconds * 1_000_000_000)
        if passed_ns < 0:
            raise ValueError("time does not go backwards")
        self._now_ns += passed_ns

    def __repr__(self) -> str:
        return f"<reifydb_clock {self.now.isoformat()}>"


# ------------------------------------------------------------------ settings and seeds


def pytest_addoption(parser: pytest.Parser) -> None:
    """Settings of a session."""
    parser.addini("reifydb_schema", "SQL files that the fixture `reifydb` executes", type="paths")
    parser.addini("reifydb_modules", "wasm files that the fixture `reifydb` installs", type="paths")
    parser.getgroup("reifydb").addoption(
        "--reifydb-seed",
        type=int,
        metavar="N",
        help="the seed of random() in every test, as a failed test printed it",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed says with which seed."""
    del call
    report = yield
    if report.failed and _SEED in item.stash:
        seed = item.stash[_SEED]
        report.sections.append(("reifydb", f"to repeat its randomness: --reifydb-seed={seed}"))
    return report


# ------------------------------------------------------------------ fixtures


@pytest.fixture(scope="session")
def reifydb_setup(pytestconfig: pytest.Config) -> Setup:
    """What databases begin with: as `reifydb_schema` and `reifydb_modules` say. To be overridden
    where a configuration file cannot say it.
    """
    schemas: list[Path] = pytestconfig.getini("reifydb_schema")
    modules: list[Path] = pytestconfig.getini("reifydb_modules")
    return Setup(
        schema=";\n".join(path.read_text(encoding="utf-8") for path in schemas), modules=modules
    )


@pytest.fixture(scope="session")
def _reifydb_modules(reifydb_setup: Setup) -> list[bytes]:
    """The modules' binaries, read once. Compiled code is kept by the database itself."""
    sources = reifydb_setup.modules
    return [m if isinstance(m, bytes) else Path(m).read_bytes() for m in sources]


@pytest.fixture
def reifydb_clock() -> Clock:
    """Virtual time, that of the test's database too."""
    return Clock()


@pytest.fixture
def reifydb_seed(request: pytest.FixtureRequest) -> int:
    """A number that the test's name determines, or `--reifydb-seed`. The same for the same test in
    every run, and printed when the test fails.
    """
    given: int | None = request.config.getoption("--reifydb-seed")
    item = request.node
    if given is None:
        given = int.from_bytes(hashlib.sha256(item.nodeid.encode()).digest()[:4], "little")
    item.stash[_SEED] = given
    return given


@pytest.fixture
def reifydb(
    reifydb_setup: Setup,
    _reifydb_modules: list[bytes],
    reifydb_clock: Clock,
    reifydb_seed: int,
) -> Iterator[Database]:
    """A fresh database in memory, closed behind the test; its whole state is verified before."""
    import reifydb

    db = reifydb.open(
        ":memory:", options=reifydb_setup.options, clock=reifydb_clock, seed=reifydb_seed
    )
    with db:
        if reifydb_setup.schema:
            db.execute(reifydb_setup.schema)
        for wasm in _reifydb_modules:
            db.install(wasm, apply_schema=True, limits=reifydb_setup.limits)
        yield db
        _check(db)


def _check(db: Database) -> None:
    """Fails the test when it left the database in no good state."""
    import reifydb

    try:
        db.verify()
    except reifydb.ClosedError:
        pass  # by the test itself
    except reifydb.ReentrantError:
        pytest.fail("the test left a transaction of its database open", pytrace=False)
    except reifydb.ReifyDBError as error:
        pytest.fail(f"after the test, its database: {error}", pytrace=False)
