"""The machine that something was measured on: no figure means anything without it."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

from bench.measure import ROOT, Result, spread


def describe(folder: Path) -> Result:
    """Processor, memory, system, versions, and what a flush of the disk of `folder` takes."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(_memory_bytes() / (1 << 30), 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "wasmtime": version("wasmtime"),
        "sqlite": sqlite3.sqlite_version,
        "source": source(),
        "flush_us": {"4 KiB": flush_us(folder, 4 << 10), "256 KiB": flush_us(folder, 256 << 10)},
    }


def load() -> list[float]:
    """Load average of 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def source() -> str:
    """The commit that was measured, with `+` when files had been changed since."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def flush_us(folder: Path, size: int, count: int = 200) -> Result:
    """How long appending `size` bytes and flushing them takes, in microseconds."""
    sync = getattr(os, "fdatasync", os.fsync)
    block = os.urandom(size)
    taken = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(count):
            start_s = perf_counter()
            file.write(block)
            sync(file.fileno())
            taken.append((perf_counter() - start_s) * 1e6)
    return {name: round(value) for name, value in spread(taken).items()}


def _git(*args: str) -> str:
    command = ["git", "-C", str(ROOT), *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
