"""Compiling in a process of its own: what comes back, and every way for that process to end."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import wasmtime

from reifydb.config import ModuleLimits
from reifydb.errors import ModuleError, UnavailableError
from reifydb.sandbox import compile_child, compiler
from reifydb.sandbox.cache import Cache
from reifydb.sandbox.compiler import CompiledGuest, Ended, compile_guest, run
from reifydb.sandbox.configuration import new_engine
from reifydb.sandbox.inspection import Inspected
from reifydb.sandbox.manifest import Manifest
from reifydb.sandbox.replies import DamagedReplyError, read_reply
from tests.unit.sandbox.samples import bank, body, bomb, functions, guest, module, wat

LIMITS = ModuleLimits()
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
needs_address_limits = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux limits address space"
)


def problems(wasm: bytes, limits: ModuleLimits = LIMITS, name: str | None = None) -> str:
    with pytest.raises(ModuleError) as caught:
        compile_guest(wasm, limits, name)
    assert caught.value.problems
    return "\n".join(caught.value.problems)


class Linked:
    """A compiled guest as an instance; host functions answer 0."""

    def __init__(self, compiled: CompiledGuest) -> None:
        engine = new_engine()
        self.store = wasmtime.Store(engine)
        self.store.set_epoch_deadline(1)
        loaded = wasmtime.Module.deserialize(engine, compiled.artefact)
        host = []
        for one in loaded.imports:
            assert isinstance(one.type, wasmtime.FuncType)
            host.append(wasmtime.Func(self.store, one.type, lambda *_: 0))
        self.exports = wasmtime.Instance(self.store, loaded, host).exports(self.store)

    def call(self, name: str, *values: int) -> object:
        function = self.exports[name]
        assert isinstance(function, wasmtime.Func)
        return function(self.store, *values)

    @property
    def memory(self) -> wasmtime.Memory:
        found = self.exports["state:memory"]
        assert isinstance(found, wasmtime.Memory)
        return found


# ------------------------------------------------------------------ what comes back


def test_a_guest_comes_back_compiled_and_described() -> None:
    wasm = bank()
    compiled = compile_guest(wasm, LIMITS)
    assert compiled.sha256 == hashlib.sha256(wasm).hexdigest()
    assert compiled.name == "bank"
    assert compiled.imports == ("args", "now")
    assert compiled.exports == ("transfer",)
    assert [one.name for one in compiled.manifest.transitions] == ["transfer"]
    assert compiled.state.segments == ((8, b"abc"), (20000, b"xyz"))
    assert compiled.state.start == "state:start"
    linked = Linked(compiled)
    assert linked.memory.read(linked.store, 8, 11) == b"abc"
    linked.call("state:start")
    assert linked.memory.read(linked.store, 100, 101) == b"\1"
    assert linked.call("transfer") == 0


def test_memory_and_tables_cannot_grow_beyond_their_limits() -> None:
    wasm = guest(
        """(table 2 funcref)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "grow_table") (param i32) (result i32)
          (table.grow (ref.null func) (local.get 0)))"""
    )
    linked = Linked(compile_guest(wasm, ModuleLimits(memory_pages_max=3, table_elements_max=5)))
    assert linked.call("grow", 3) == -1
    assert linked.call("grow", 2) == 1
    assert linked.call("grow_table", 4) == -1
    assert linked.call("grow_table", 3) == 2


def test_every_nan_is_the_same() -> None:
    wasm = guest(
        """(func (export "bits") (param i64) (result i64)
          (i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (local.get 0)) (f64.const 1))))
        (func (export "difference") (result i64)
          (i64.reinterpret_f64 (f64.sub (f64.const inf) (f64.const inf))))"""
    )
    linked = Linked(compile_guest(wasm, LIMITS))
    assert linked.call("difference") == 0x7FF8 << 48
    assert linked.call("bits", 0x7FF8_0000_DEAD_BEEF) == 0x7FF8 << 48
    assert linked.call("bits", -0x0008_0000_0000_0001) == 0x7FF8 << 48


def test_a_guest_can_be_interrupted() -> None:
    linked = Linked(compile_guest(guest('(func (export "f") (loop $l (br $l)))'), LIMITS))
    engine_epoch = threading.Timer(0.05, linked.store.engine.increment_epoch)
    engine_epoch.start()
    with pytest.raises(wasmtime.Trap, match="interrupt"):
        linked.call("f")
    engine_epoch.join()


def test_a_trace_names_the_module_as_installed() -> None:
    compiled = compile_guest(guest('(func $f (export "f") unreachable)'), LIMITS, "other")
    assert compiled.name == "other"
    with pytest.raises(wasmtime.Trap) as caught:
        Linked(compiled).call("f")
    assert caught.value.frames[0].module_name == "other"


def test_several_threads_compile_at_once() -> None:
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda i=i: found.append(compile_guest(bank(), LIMITS, f"m{i}").name)
        )  # type: ignore[misc]
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["m0", "m1", "m2", "m3"]


# ------------------------------------------------------------------ refused


def test_problems_of_the_inspection_come_back_one_by_one() -> None:
    text = '(module (import "env" "x" (func)) (memory 300))'
    with pytest.raises(ModuleError) as caught:
        compile_guest(wat(text), LIMITS)
    assert len(caught.value.problems) == 3
    assert caught.value.message.startswith("the module cannot be installed:\n- ")
    assert caught.value.message.count("cannot be installed") == 1


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (b"\x6a\x1a", "type mismatch"),
        (b"\x10\x63", "unknown function"),
        (b"\x20\x05\x1a", "unknown local"),
        (b"\x0c\x09", "unknown label"),
        (b"\xfc\x08\0\0", "data"),
        (b"\x05", "else"),
    ],
)
def test_what_only_validation_finds_is_refused(code: bytes, expected: str) -> None:
    assert expected in problems(module(*functions(body(code))))


def test_valid_modules_that_end_the_process_of_who_asks_for_their_exports_are_refused() -> None:
    for text in (
        '(module (memory 1) (func (export "f") (param v128)))',
        '(module (memory 1) (type $t (func)) (func (export "f") (param (ref null $t))))',
        '(module (memory 1) (func (export "f") (param (ref struct))))',
    ):
        assert "is not allowed" in problems(wat(text))


def test_a_module_that_is_too_long_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "run", None)
    assert "module_bytes_max is 10" in problems(bank(), ModuleLimits(module_bytes_max=10))


# ------------------------------------------------------------------ the process dies


def test_too_much_processor_time() -> None:
    found = problems(bomb(), ModuleLimits(compile_cpu_s_max=1))
    assert "compile_cpu_s_max is 1" in found


@needs_address_limits
def test_too_much_memory_in_the_compiler() -> None:
    found = problems(bomb(), ModuleLimits(compile_bytes_max=60 << 20))
    assert "compile_bytes_max is 62,914,560" in found


@needs_address_limits
def test_too_much_memory_in_the_inspection() -> None:
    data = '(data (i32.const 0) "a") (data (i32.const 1073741823) "b")'
    limits = ModuleLimits(memory_pages_max=65536, compile_bytes_max=300 << 20)
    found = problems(guest(data, memory="(memory 16384)"), limits)
    assert "compile_bytes_max is 314,572,800" in found


def test_too_long_on_the_wall() -> None:
    started = time.monotonic()
    assert "compile_wall_s_max is 0.02" in problems(bomb(), ModuleLimits(compile_wall_s_max=0.02))
    assert time.monotonic() - started < 30


def test_too_much_code() -> None:
    assert "artefact_bytes_max is 100" in problems(bank(), ModuleLimits(artefact_bytes_max=100))


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "compile_cpu_s_max is 5"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed, for want of"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "died (SIGSEGV)"),
        (
            "import os; os.write(2, b'memory allocation of 9 bytes failed'); os.abort()",
            "compile_bytes_max is",
        ),
        ("import os; os.abort()", "died (SIGABRT): it said nothing"),
        ("raise SystemExit(3)", "died (exit status 3): it said nothing"),
        ("raise ValueError('a bug')", "died (exit status 1): ValueError: a bug"),
        ("raise MemoryError", "compile_bytes_max is"),
        ("print('nonsense')", "reply is damaged"),
        ("", "reply is damaged"),
        ("import sys; sys.stdout.write('x' * 200_000_000)", "artefact_bytes_max is"),
        ("import sys; sys.stderr.write('x' * 60_000)", "reply is damaged"),
    ],
)
def test_every_way_to_die_is_a_module_error(
    program: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "_command", lambda: [sys.executable, "-c", program])
    assert expected in problems(bank() + bytes(1_000_000) if not program else bank())


def test_a_process_that_cannot_be_started_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "_command", lambda: ["/nowhere/python"])
    with pytest.raises(UnavailableError, match="could not be started"):
        compile_guest(bank(), LIMITS)


def test_a_process_that_hangs_before_it_reads_is_ended() -> None:
    limits = ModuleLimits(compile_wall_s_max=0.3)
    program = "import time; time.sleep(60)"
    ended = run([sys.executable, "-c", program], bytes(1_000_000), limits)
    assert ended.too_late
    assert ended.status == -signal.SIGKILL


def test_a_process_does_not_outlive_an_interrupted_call(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def interrupt(process: subprocess.Popen[bytes], *_: object) -> tuple[bytes, str]:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(compiler, "_converse", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run([sys.executable, "-c", "import time; time.sleep(60)"], b"", LIMITS)
    process = started[0]
    if process.stdin is not None:
        process.stdin.close()
    assert process.returncode == -signal.SIGKILL


def _reply() -> bytes:
    return compiler._compile(bank(), LIMITS, None)


def test_every_cut_reply_is_damaged() -> None:
    reply = _reply()
    read_reply(reply, "")
    cuts = [*range(900), *range(900, len(reply), 97), len(reply) - 1]
    for length in cuts:
        with pytest.raises(DamagedReplyError):
            read_reply(reply[:length], "")
    for header in (b"[]", b"5", b"{}", b'{"segments": 5}', b'{"segments": [[1, "a"]]}'):
        damaged = b"reifycg1" + len(header).to_bytes(4, "little") + header
        with pytest.raises(DamagedReplyError):
            read_reply(damaged, "")


# ------------------------------------------------------------------ what the process sees


@needs_proc
def test_no_file_and_no_secret_is_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    program = "import os; print(sorted(os.listdir('/proc/self/fd')), dict(os.environ), os.getcwd())"
    with open(tmp_path / "lock", "w") as lock:
        os.set_inheritable(lock.fileno(), True)
        ended = run([sys.executable, "-c", program], b"", LIMITS)
    assert ended.output.startswith(b"['0', '1', '2', '3']")  # 3: the listing itself
    assert b"secret" not in ended.output
    assert ended.output.strip().endswith(b"/")


@needs_address_limits
def test_the_limits_of_the_process() -> None:
    root = Path(compiler.__file__).parents[2]
    program = f"""if 1:
        import sys; sys.path.insert(0, {str(root)!r})
        from reifydb.config import ModuleLimits
        from reifydb.sandbox.compile_child import limit_process
        limit_process(ModuleLimits())
        import resource as r
        print([r.getrlimit(one)[0] for one in (r.RLIMIT_CORE, r.RLIMIT_FSIZE, r.RLIMIT_NOFILE,
            r.RLIMIT_CPU, r.RLIMIT_AS)])"""
    ended = run([sys.executable, "-c", program], b"", LIMITS)
    assert ended.output.decode().strip() == f"[0, 0, 16, 5, {2 << 30}]", ended.errors


@needs_proc
def test_the_parent_stays_as_small_as_it_was() -> None:
    """Twenty times 1.6 MB to a process that dies, and five compiled guests.

    In a process of its own: here, memory and threads of other tests come and go.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        grown, files, threads = pool.submit(_growth_of_a_parent).result(60)
    assert grown < 8 << 20
    assert (files, threads) == (0, 0)


def _growth_of_a_parent() -> tuple[int, int, int]:
    """Resident bytes, files and threads that are there afterwards and were not before."""
    limits = ModuleLimits(compile_bytes_max=60 << 20, compile_wall_s_max=0.05)
    hostile, sound = bomb(), bank()
    for _ in range(3):
        problems(hostile, limits)
        compile_guest(sound, LIMITS)
    before = _resident_bytes()
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(20):
        problems(hostile, limits)
    for _ in range(5):
        compile_guest(sound, LIMITS)
    return (
        _resident_bytes() - before,
        len(os.listdir("/proc/self/fd")) - files,
        threading.active_count() - threads,
    )


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


# ------------------------------------------------------------------ cache


def test_a_compiled_guest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "code")
    first = compile_guest(bank(), LIMITS, cache=cache)
    other = compile_guest(bank(), LIMITS, "other", cache=cache)
    smaller = compile_guest(bank(), ModuleLimits(memory_pages_max=9), cache=cache)
    assert len(list((tmp_path / "code").iterdir())) == 3
    monkeypatch.setattr(compiler, "run", None)  # no process any more
    assert compile_guest(bank(), LIMITS, cache=cache) == first
    assert compile_guest(bank(), LIMITS, "other", cache=cache) == other
    assert compile_guest(bank(), ModuleLimits(memory_pages_max=9), cache=cache) == smaller


def test_a_refused_guest_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "code")
    for _ in range(2):
        with pytest.raises(ModuleError):
            compile_guest(b"nonsense", LIMITS, cache=cache)
    assert not (tmp_path / "code").exists()


def test_an_entry_that_is_no_reply_is_replaced(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "code")
    key = compiler._key(bank(), LIMITS, None)
    cache.put(key, b"nonsense")
    first = compile_guest(bank(), LIMITS, cache=cache)
    assert read_reply(cache.get(key) or b"", first.sha256) == first


# ------------------------------------------------------------------ damage


EVERY_DAMAGE = """
import sys
from contextlib import suppress
from reifydb.config import ModuleLimits
from reifydb.errors import ModuleError
from reifydb.sandbox.compile_child import compile_request
wasm = sys.stdin.buffer.read()
compiled = 0
for at in range(len(wasm)):
    for flip in (0x01, 0x04, 0x20, 0x80, 0xFF):
        damaged = wasm[:at] + bytes([wasm[at] ^ flip]) + wasm[at + 1:]
        with suppress(ModuleError):
            compile_request(damaged, ModuleLimits(), None)
            compiled += 1
    with suppress(ModuleError):
        compile_request(wasm[:at], ModuleLimits(), None)
        raise SystemExit(f"cut at {at} it was accepted")
print(compiled)
"""


def test_the_compiler_survives_every_cut_and_flipped_byte() -> None:
    """All the way to compiled code, in one process: an abort would end it."""
    root = str(Path(compiler.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", EVERY_DAMAGE], input=bank(), capture_output=True, cwd=root
    )
    assert done.returncode == 0, done.stderr.decode()
    assert re.fullmatch(r"\d+", done.stdout.decode().strip())
    assert int(done.stdout) > 50  # some damage is only to numbers and names


def test_an_ended_process_without_fault_has_no_problem() -> None:
    assert compiler._problem(Ended(0, b"", ""), LIMITS) is None


def test_validation_refuses_what_inspection_would_have_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two lines of defence: the engine itself could compile this, for bridges may throw."""
    accepted = Inspected("m", (), (), Manifest())
    monkeypatch.setattr(compile_child, "inspect_guest", lambda *_: accepted)
    throwing = wat("(module (memory 1) (tag $t) (func (throw $t)))")
    with pytest.raises(ModuleError, match="exceptions"):
        compile_child.compile_request(throwing, LIMITS, None)
    sound = wat("(module (memory 1))")
    assert read_reply(compile_child.compile_request(sound, LIMITS, None), "").name == "m"
