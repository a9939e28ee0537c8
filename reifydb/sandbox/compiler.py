"""Compiles guests in a process of their own, and says in words how that process ended.

The parent never looks at the module itself: it sends the bytes, waits, and believes what comes
back. Whatever the upload does to the compiler, the database goes on, and neither its memory nor its
files are involved: the process inherits nothing but three pipes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from functools import cache as once
from pathlib import Path

import reifydb
from reifydb.config import KIB, ModuleLimits
from reifydb.errors import ModuleError, UnavailableError
from reifydb.sandbox.cache import Cache, content_key
from reifydb.sandbox.replies import CompiledGuest, DamagedReplyError, read_reply, request

__all__ = ["CompiledGuest", "compile_guest"]

ERRORS_BYTES_MAX = 64 * KIB
"""How much of a dying compiler's last words is read."""

_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
"""All that the process learns of this one's environment: others may be secrets."""

_PROGRAM = Path(__file__).with_name("compile_child.py")
_OUT_OF_MEMORY = ("memory allocation of", "MemoryError", "Cannot allocate memory", "out of memory")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a compiling process ended. `status` is its exit code, or minus a signal's number."""

    status: int
    output: bytes
    errors: str
    too_late: bool = False
    too_long: bool = False


def compile_guest(
    wasm: bytes, limits: ModuleLimits, name: str | None = None, *, cache: Cache | None = None
) -> CompiledGuest:
    """Inspects and compiles a guest in a process of its own; about 0.1 s for a small one.

    Safe from several threads; each call has its own process.

    Args:
        wasm: The module's binary.
        limits: What it may use. Those of the compiler hold for the process.
        name: What to call it; None: what its manifest says.
        cache: Where compiled guests are kept. One that is found there costs about 1 ms.

    Raises:
        ModuleError: It is refused, or compiling it reached a limit; `problems` says which.
        UnavailableError: The process could not be started.
    """
    if len(wasm) > limits.module_bytes_max:
        problem = f"it has {len(wasm):,} bytes; module_bytes_max is {limits.module_bytes_max:,}"
        raise ModuleError("the module cannot be installed", [problem])
    sha256 = hashlib.sha256(wasm).hexdigest()
    if cache is None:
        return _read(_compile(wasm, limits, name), sha256, limits)
    key = _key(wasm, limits, name)
    kept = cache.get(key)
    if kept is not None:
        try:
            return read_reply(kept, sha256)
        except (DamagedReplyError, ModuleError, MemoryError):
            cache.remove(key)
    reply = _compile(wasm, limits, name)
    guest = _read(reply, sha256, limits)
    cache.put(key, reply)
    return guest


def _compile(wasm: bytes, limits: ModuleLimits, name: str | None) -> bytes:
    """The reply of a process that compiled a module.

    Raises:
        ModuleError: The process died; `problems` says of what.
    """
    ended = run(_command(), request(wasm, limits, name), limits)
    problem = _problem(ended, limits)
    if problem is not None:
        raise ModuleError("the module cannot be compiled", [problem])
    return ended.output


def _read(reply: bytes, sha256: str, limits: ModuleLimits) -> CompiledGuest:
    try:
        return read_reply(reply, sha256)
    except DamagedReplyError as error:
        problem = f"the compiler's reply is damaged ({error})"
    except MemoryError:
        problem = _too_much_memory(limits)
    raise ModuleError("the module cannot be compiled", [problem])


def run(command: list[str], standard_input: bytes, limits: ModuleLimits) -> Ended:
    """Runs a process that reads all its input before it writes; it never outlives the call.

    Raises:
        UnavailableError: It could not be started.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            close_fds=True,
            start_new_session=True,  # Ctrl-C is for the parent, which ends this process itself
            env={key: os.environ[key] for key in _ENVIRONMENT if key in os.environ},
            cwd=os.path.abspath(os.sep),
        )
    except OSError as error:
        raise UnavailableError(f"the compiling process could not be started: {error}") from None
    overdue = threading.Event()

    def end() -> None:
        overdue.set()
        process.kill()

    timer = threading.Timer(limits.compile_wall_s_max, end)
    timer.daemon = True
    timer.start()
    try:
        output, errors = _converse(process, standard_input, limits.artefact_bytes_max)
        too_long = len(output) > limits.artefact_bytes_max
        if too_long:
            process.kill()
        status = process.wait()
    finally:
        timer.cancel()
        timer.join()  # or its thread is still there when the next one starts
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return Ended(status, output, errors, too_late=overdue.is_set(), too_long=too_long)


def _converse(
    process: subprocess.Popen[bytes], standard_input: bytes, output_bytes_max: int
) -> tuple[bytes, str]:
    """Writes all input, then reads the output up to a limit, then the errors."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with process.stdin:
            process.stdin.write(standard_input)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it died before it had read everything: its status says why
    output = process.stdout.read(output_bytes_max + 1)
    if len(output) > output_bytes_max:
        return output, ""
    return output, process.stderr.read(ERRORS_BYTES_MAX).decode(errors="replace")


def _problem(ended: Ended, limits: ModuleLimits) -> str | None:
    """What a process died of; None when it did not."""
    if ended.too_late:
        return (
            f"compiling took more than {limits.compile_wall_s_max:g} s: "
            f"compile_wall_s_max is {limits.compile_wall_s_max:g}"
        )
    if ended.too_long:
        return f"its code is too large: artefact_bytes_max is {limits.artefact_bytes_max:,}"
    if ended.status == 0:
        return None
    if ended.status in (-getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0)):
        time = f"compile_cpu_s_max is {limits.compile_cpu_s_max:,}"
        if ended.status == -signal.SIGXCPU:
            return f"compiling took too much processor time: {time}; smaller functions take less"
        return f"the compiler was killed, for want of memory or processor time: {time}"
    if any(words in ended.errors for words in _OUT_OF_MEMORY):
        return _too_much_memory(limits)
    how = f"exit status {ended.status}"
    if ended.status < 0:
        how = signal.Signals(-ended.status).name if -ended.status in _SIGNALS else how
    words = ended.errors.strip().splitlines()
    return f"the compiler died ({how}): {words[-1][:300] if words else 'it said nothing'}"


def _too_much_memory(limits: ModuleLimits) -> str:
    return f"compiling took too much memory: compile_bytes_max is {limits.compile_bytes_max:,}"


_SIGNALS = {int(one) for one in signal.Signals}


@once
def _command() -> list[str]:
    """How the process is started: by file path, isolated, without `site`, which saves 10 ms."""
    package = Path(reifydb.__file__).parent.parent
    found = importlib.util.find_spec("wasmtime")
    if found is None or found.origin is None:
        raise UnavailableError("wasmtime is not installed")
    folders = [str(package), str(Path(found.origin).parent.parent)]
    return [sys.executable, "-I", "-S", str(_PROGRAM), *dict.fromkeys(folders)]


def _key(wasm: bytes, limits: ModuleLimits, name: str | None) -> str:
    from reifydb.sandbox.configuration import configuration_key

    settings = repr((sorted(asdict(limits).items()), name))
    return content_key(configuration_key(), "guest", _program_version(), settings, wasm)


@once
def _program_version() -> str:
    """A digest of the programs that make a reply: an old reply is not for new programs."""
    digest = hashlib.sha256(reifydb.__version__.encode())
    for path in sorted(_PROGRAM.parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
