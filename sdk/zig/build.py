"""Builds guests: one Zig file, with what it imports, becomes one wasm file.

    python sdk/zig/build.py examples/wasm/bank/bank.zig -o bank.wasm

Needs the `ziglang` package (0.17.1: Zig changes between versions, so the SDK names its own). A
result is built again only when something that it was made from has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

Mode = Literal["ReleaseSafe", "ReleaseSmall", "ReleaseFast"]

SDK = Path(__file__).resolve().parent
ROOT = SDK.parents[1]
BUILD = (ROOT if (ROOT / "pyproject.toml").exists() else Path.cwd()) / "build"
"""Results and Zig's cache: in the repository, or where one stands with an installed SDK."""

stack_bytes = 16 * 1024
"""A guest's stack. It lies before its globals, so that an overflow traps; Zig's default is 16 MiB,
and putting a guest back to its first state costs in proportion to its memory."""


class GuestBuildError(Exception):
    """The compiler refused a guest; the message is what it said."""


def build_guest(source: Path, out: Path | None = None, *, mode: Mode = "ReleaseSafe") -> Path:
    """Builds the guest whose root file is `source`; `@import("reifydb")` is the SDK.

    Takes a second, or about ten when Zig's own cache is empty; nothing when the result is there and
    no file of the guest's folder or of the SDK has changed.

    Args:
        source: The root file. What it imports or embeds lies in its folder.
        out: Where to write the module; by default `build/guests/<name>.<mode>.wasm`.
        mode: `ReleaseSafe` (the default: overflow and indices out of bounds trap), `ReleaseSmall`
            or `ReleaseFast` (both undefined there: not for code that handles money).

    Returns:
        The path of the module.

    Raises:
        GuestBuildError: The compiler refused it.
    """
    source = source.resolve()
    out = out or BUILD / "guests" / f"{source.stem}.{mode}.wasm"
    out.parent.mkdir(parents=True, exist_ok=True)
    key_file = out.with_name(out.name + ".key")
    key = _key(source, mode)
    if out.exists() and key_file.exists() and key_file.read_text() == key:
        return out
    unfinished = out.with_name(f"{out.name}.{os.getpid()}.part")
    command = [
        *(sys.executable, "-m", "ziglang", "build-exe", "-target", "wasm32-freestanding"),
        *("-O", mode, "-fno-entry", "-rdynamic", "-fstrip", "--stack", str(stack_bytes)),
        *("--dep", "reifydb", f"-Mroot={source}", f"-Mreifydb={SDK / 'reifydb.zig'}"),
        *(f"-femit-bin={unfinished}", "--cache-dir", str(BUILD / "zig-cache")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out.parent)
    if done.returncode != 0:
        raise GuestBuildError(f"{source}: {done.stderr.strip()}")
    os.replace(unfinished, out)
    key_file.write_text(key)
    return out


def _key(source: Path, mode: str) -> str:
    """A hash of everything that a guest is made from."""
    digest = hashlib.sha256(f"{mode} {stack_bytes} {source.name}".encode())
    folders = (source.parent, SDK)
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.is_file()):
        if path.suffix not in (".pyc", ".wasm", ".key"):
            digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--mode", default="ReleaseSafe")
    given = parser.parse_args()
    try:
        print(build_guest(given.source, given.out, mode=given.mode))
    except GuestBuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
