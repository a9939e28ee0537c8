"""Builds the kernel with the `ziglang` wheel: the one place that knows the command.

Used as a script (`python kernel/build.py [--out PATH] [--test]`), by the build hook of the wheel
and by `./dev`. The product is rebuilt only when its sources, the command or Zig have changed: a
digest of them stands in a custom section at the end of the wasm file, where an engine ignores it.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

KERNEL = Path(__file__).resolve().parent
ROOT = KERNEL.parent
SOURCE = KERNEL / "main.zig"
PRODUCT = ROOT / "reifydb" / "kernel.wasm"

STACK_BYTES = 256 * 1024
"""The kernel's shadow stack. Its deepest path needs a small part; a trap may strand a frame."""

OPTIONS = (
    "-target",
    "wasm64-freestanding",
    "-O",
    "ReleaseSafe",  # an overflow traps instead of corrupting; costs nothing measurable
    "-fno-entry",
    "-rdynamic",
    "-fstrip",
    "--stack",
    str(STACK_BYTES),
    "--export=__stack_pointer",  # the host puts it back after a trap
)

SECTION = b"reifydb.source"


def build(out: Path = PRODUCT) -> bool:
    """Compiles the kernel into `out` unless it is up to date; some 10 s when it has to.

    Returns:
        Whether anything was compiled.

    Raises:
        SystemExit: Zig is missing, or refused the sources (its own message has been printed).
    """
    section = _section(_digest())
    if out.exists() and out.read_bytes().endswith(section):
        return False
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".kernel-") as folder:
        made = Path(folder) / "kernel.wasm"
        _zig("build-exe", str(SOURCE), *OPTIONS, f"-femit-bin={made}")
        with made.open("ab") as file:
            file.write(section)
        made.replace(out)
    return True


def test() -> None:
    """Runs the kernel's own tests natively: Zig's test runner, with this machine's checks."""
    _zig("test", str(SOURCE))


def _zig(*arguments: str) -> None:
    if not SOURCE.exists():
        raise SystemExit(f"error: {SOURCE} is missing")
    command = [sys.executable, "-m", "ziglang", *arguments]
    # Zig's cache goes beside other products, wherever this is called from.
    cache = ROOT / ".zig-cache"
    environment = os.environ | {"ZIG_LOCAL_CACHE_DIR": str(cache)}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(f"error: zig {arguments[0]} failed ({done.returncode})")


def _digest() -> bytes:
    hashed = hashlib.sha256(repr((_zig_version(), OPTIONS)).encode())
    for path in sorted(KERNEL.rglob("*.zig")):
        hashed.update(path.relative_to(KERNEL).as_posix().encode() + b"\0")
        hashed.update(hashlib.sha256(path.read_bytes()).digest())
    return hashed.digest()


def _zig_version() -> str:
    try:
        return importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit(
            "error: the package 'ziglang' is missing: run ./dev env, or pip install ziglang"
        ) from None


def _section(digest: bytes) -> bytes:
    """A custom section (id 0, size, name, contents); everything is shorter than 128 bytes."""
    body = bytes([len(SECTION)]) + SECTION + digest
    return bytes([0, len(body)]) + body


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Builds the kernel.")
    parser.add_argument("--out", type=Path, default=PRODUCT, help="where the wasm file goes")
    parser.add_argument("--test", action="store_true", help="run the kernel's own tests instead")
    options = parser.parse_args()
    if options.test:
        test()
    else:
        out = options.out.resolve()
        made = build(out)
        print(f"{out}: {'built' if made else 'up to date'}, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
