"""The command line: `python -m bench [--quick] [transfers] [lag] …`; all when none is named."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from rich.console import Console

from bench import (
    feeds,
    fresh,
    growth,
    http_calls,
    lag,
    machine,
    memory,
    primitives,
    recovery,
    report,
    start,
    transfers,
    views,
)
from bench.bank import bank_wasm
from bench.measure import QUICK, ROOT, Result, Sizes
from bench.served import connections
from bench.served import transfers as served
from bench.served.hosts import install_peers

MEASURED = {
    "transfers": transfers,
    "lag": lag,
    "recovery": recovery,
    "memory": memory,
    "growth": growth,
    "start": start,
    "fresh": fresh,
    "served": served,
    "connections": connections,
    "http": http_calls,
    "views": views,
    "feeds": feeds,
    "primitives": primitives,
}


def main() -> None:
    """Measures, prints a table, and saves the results of a full run."""
    given = _parser().parse_args()
    names = given.only.split(",") if given.only else given.names or list(MEASURED)
    unknown = sorted(set(names) - set(MEASURED))
    if unknown:
        raise SystemExit(f"nothing is called {unknown[0]!r}; there are {', '.join(MEASURED)}")
    if given.install_peers:
        install_peers()
    # Not the system's temporary folder, which may be memory: a flush there costs nothing.
    place = given.folder or ROOT / "build"
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=place))
    folder.chmod(0o711)  # PostgreSQL runs as another user when this is root
    try:
        run(names, QUICK if given.quick else Sizes(), folder, save=not given.quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(names: list[str], sizes: Sizes, folder: Path, *, save: bool) -> None:
    """Measures what is named, one after the other."""
    console, progress = Console(), Console(stderr=True)
    bank_wasm()
    where = {**machine.describe(folder), "load_before": machine.load()}
    results: dict[str, Result] = {}
    with progress.status("measuring") as status:

        def say(text: str) -> None:
            status.update(text)

        for name in names:
            own = folder / name
            own.mkdir()
            results[name] = MEASURED[name].measure(own, sizes, say)
            shutil.rmtree(own)
    where["load_after"] = machine.load()
    report.show(console, where, results)
    if save:
        for name, found in results.items():
            console.print(f"saved {report.save(name, where, found).relative_to(ROOT)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures ReifyDB, beside sqlite3, Redis and PostgreSQL.",
    )
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(MEASURED)}; else all")
    parser.add_argument("--quick", action="store_true", help="smaller and rougher; saves nothing")
    parser.add_argument("--only", help="the same, with commas between")
    parser.add_argument(
        "--install-peers",
        action="store_true",
        help="install Redis and PostgreSQL first, with apt-get, for `served`",
    )
    parser.add_argument("--folder", type=Path, help="on which disk; by default the repository's")
    return parser


if __name__ == "__main__":
    main()
