"""Builds guests: one Zig or C file, with what it imports or includes, becomes one wasm file.

    python sdk/build.py examples/wasm/bank/bank.zig -o bank.wasm
    python sdk/build.py examples/wasm/bank/bank.c -o bank.wasm

Needs the `ziglang` package, which compiles C as well (0.17.1: Zig changes between versions, so the
SDK names its own). A result is built again only when something that it was made from has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args

Mode = Literal["ReleaseSafe", "ReleaseSmall", "ReleaseFast"]

SDK = Path(__file__).resolve().parent
ROOT = SDK.parent
BUILD = (ROOT if (ROOT / "pyproject.toml").exists() else Path.cwd()) / "build"
"""Results and Zig's cache: in the repository, or where one stands with an installed SDK."""

stack_bytes = 16 * 1024
"""A guest's stack. It lies before its globals, so that an overflow traps; Zig's default is 16 MiB,
and putting a guest back to its first state costs in proportion to its memory."""

C_MODES = {
    # What C leaves undefined traps, as in Zig; nothing of a runtime is needed for that.
    "ReleaseSafe": ("-O2", "-fsanitize=undefined", "-fsanitize-trap=undefined"),
    "ReleaseSmall": ("-Oz",),
    "ReleaseFast": ("-O3",),
}
C_WARNINGS = (
    *("-Wall", "-Wextra", "-Wno-missing-field-initializers"),  # what is left out is zero, or null
    *("-Wno-undefined-internal", "-Werror=unused-result", "-Werror=return-type"),
)
"""Codes that nobody looks at are mistakes. A table that the module does not list is one when it is
used: that is for the linker to see."""


class GuestBuildError(Exception):
    """The compiler refused a guest; the message is what it said."""


def build_guest(source: Path, out: Path | None = None, *, mode: Mode = "ReleaseSafe") -> Path:
    """Builds the guest whose root file is `source`: Zig or C, by its suffix.

    `@import("reifydb")` and `#include "reifydb.h"` are the SDK. Takes a second, or about ten when
    Zig's own cache is empty; nothing when the result is there and no file of the guest's folder or
    of the SDK has changed. The compiler's warnings go to standard error.

    Args:
        source: The root file. What it imports, includes or embeds lies in its folder.
        out: Where to write the module; by default `build/guests/<name>.<mode>.wasm`, with the
            language in between when it is not Zig.
        mode: `ReleaseSafe` (the default: overflow and indices out of bounds trap), `ReleaseSmall`
            or `ReleaseFast` (both undefined there: not for code that handles money).

    Returns:
        The path of the module.

    Raises:
        GuestBuildError: The compiler refused it, or it has no manifest.
    """
    source = source.resolve()
    if source.suffix not in _COMMANDS:
        raise GuestBuildError(f"{source}: guests are written in .zig or .c files")
    if not source.is_file():
        raise GuestBuildError(f"{source}: there is no such file")
    out = (out or BUILD / "guests" / f"{source.name.removesuffix('.zig')}.{mode}.wasm").absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    key_file = out.with_name(out.name + ".key")
    key = _key(source, mode)
    if out.exists() and key_file.exists() and key_file.read_text() == key:
        return out
    unfinished = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        _compile(source, unfinished, mode)
        _check_manifest(source, unfinished)
        os.replace(unfinished, out)
    finally:
        unfinished.unlink(missing_ok=True)
    key_file.write_text(key)
    return out


def _compile(source: Path, out: Path, mode: Mode) -> None:
    command = [sys.executable, "-m", "ziglang", *_COMMANDS[source.suffix](source, out, mode)]
    cache = {"ZIG_LOCAL_CACHE_DIR": str(BUILD / "zig-cache")}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=out.parent, env=os.environ | cache
    )
    if done.returncode != 0:
        raise GuestBuildError(f"{source}: {_explained(done.stderr.strip())}")
    if done.stderr.strip():
        print(done.stderr.strip(), file=sys.stderr)


def _explained(said: str) -> str:
    """What the linker says of a table that is used and not bound, in words of the SDK."""
    for table in dict.fromkeys(re.findall(r"undefined symbol: (\w+)_relation\b", said)):
        said += f"\ntable '{table}' is not among the relations of REIFYDB_MODULE"
    return said


def _zig(source: Path, out: Path, mode: Mode) -> list[str]:
    return [
        *("build-exe", "-target", "wasm32-freestanding"),
        *("-O", mode, "-fno-entry", "-rdynamic", "-fstrip", "--stack", str(stack_bytes)),
        *("--dep", "reifydb", f"-Mroot={source}", f"-Mreifydb={SDK / 'zig' / 'reifydb.zig'}"),
        f"-femit-bin={out}",
    ]


def _c(source: Path, out: Path, mode: Mode) -> list[str]:
    return [
        *("cc", "--target=wasm32-freestanding", "-std=c11", "-ffreestanding"),
        *(*C_MODES[mode], *C_WARNINGS, "-fmacro-backtrace-limit=1", f"-I{SDK / 'c'}"),
        f"-Wl,--no-entry,-z,stack-size={stack_bytes},--strip-all",
        *("-o", str(out), str(source)),
    ]


_COMMANDS = {".zig": _zig, ".c": _c}


def _check_manifest(source: Path, module: Path) -> None:
    """A C file without its last line compiles; it is no guest."""
    try:
        manifest = _custom_section(module.read_bytes(), b"reifydb.manifest")
        if manifest is not None:
            json.loads(manifest)
            return
    except json.JSONDecodeError:
        pass
    last = "REIFYDB_MODULE" if source.suffix == ".c" else "comptime { module.emit(); }"
    raise GuestBuildError(f"{source}: it has no manifest; a guest's file ends with {last}")


def _custom_section(module: bytes, name: bytes) -> bytes | None:
    at = 8
    while at < len(module):
        is_custom = module[at] == 0
        size, start = _leb128(module, at + 1)
        at = start + size
        if is_custom:
            length, start = _leb128(module, start)
            if module[start : start + length] == name:
                return module[start + length : at]
    return None


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _key(source: Path, mode: str) -> str:
    """A hash of everything that a guest is made from."""
    digest = hashlib.sha256(f"{mode} {stack_bytes} {source.name}".encode())
    folders = (source.parent, SDK)
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.is_file()):
        if path.suffix not in (".pyc", ".wasm", ".key", ".part"):
            digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--mode", default="ReleaseSafe", choices=get_args(Mode))
    given = parser.parse_args()
    try:
        print(build_guest(given.source, given.out, mode=given.mode))
    except GuestBuildError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
