"""The engine configuration: what it accepts, what it reserves, code without epoch checks."""

from __future__ import annotations

import subprocess
import sys

import pytest
import wasmtime

from reifydb.sandbox import configuration
from reifydb.sandbox.configuration import (
    ConfigurationError,
    configuration_key,
    elf_section,
    engine_section,
    new_engine,
    new_strict_engine,
    uninterruptible,
    wasmtime_version,
)
from tests.unit.sandbox.samples import bank, wat

LOOP = '(module (func (export "run") (param i64) (result i64) (loop $l (br_if $l (i64.ne (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0)))) (i64.const 7)))'  # noqa: E501


@pytest.mark.parametrize(
    "text",
    [
        "(module (memory i64 1))",
        "(module (memory 1) (memory 1))",
        "(module (memory 1 1 shared))",
        "(module (tag))",
        "(module (func (drop (v128.const i32x4 0 0 0 0))))",
        "(module (type (struct)))",
        "(module (type $f (func)) (func (param (ref $f))))",
        "(module (func $f (return_call $f)))",
        "(module (memory 1 (pagesize 1)))",
        "(module (func (param i64) (drop (drop (i64.mul_wide_s (local.get 0) (local.get 0))))))",
    ],
)
def test_the_strict_engine_refuses_what_guests_may_not_use(text: str) -> None:
    with pytest.raises(wasmtime.WasmtimeError):
        wasmtime.Module.validate(new_strict_engine(), wat(text))


def test_the_strict_engine_accepts_what_guests_may_use() -> None:
    wasmtime.Module.validate(new_strict_engine(), bank())


def test_the_engine_accepts_what_kernel_and_bridges_need() -> None:
    text = """(module (memory i64 1) (memory 1)
      (func (export "f") (result i32)
        (memory.copy 0 1 (i64.const 0) (i32.const 0) (i32.const 8)) (i32.const 7)))"""
    engine = new_engine()
    store = wasmtime.Store(engine)
    store.set_epoch_deadline(1)
    run = wasmtime.Instance(store, wasmtime.Module(engine, text), []).exports(store)["f"]
    assert isinstance(run, wasmtime.Func)
    assert run(store) == 7


def test_code_without_epoch_checks_is_not_interrupted() -> None:
    engine, without = new_engine(), new_engine(epoch_interruption=False)

    def run(module: wasmtime.Module) -> int:
        store = wasmtime.Store(engine)
        store.set_epoch_deadline(1)
        engine.increment_epoch()
        engine.increment_epoch()
        call = wasmtime.Instance(store, module, []).exports(store)["run"]
        assert isinstance(call, wasmtime.Func)
        return int(call(store, 1000))

    with pytest.raises(wasmtime.Trap):
        run(wasmtime.Module(engine, LOOP))
    artefact = uninterruptible(engine, without, LOOP)
    assert run(wasmtime.Module.deserialize(engine, artefact)) == 7


def test_only_the_epoch_setting_may_differ() -> None:
    engine = new_engine()
    with pytest.raises(ConfigurationError, match="differ in 0 bytes"):
        uninterruptible(engine, new_engine(), LOOP)
    other = wasmtime.Config()
    other.epoch_interruption = False
    with pytest.raises(ConfigurationError, match="differ"):
        uninterruptible(engine, wasmtime.Engine(other), LOOP)
    config = wasmtime.Config()
    for setting, value in configuration.SETTINGS.items():
        setattr(config, setting, value)
    for flag, choice in configuration.CRANELIFT_FLAGS.items():
        config.cranelift_flag_set(flag, choice)
    config.cranelift_nan_canonicalization = False
    with pytest.raises(ConfigurationError, match="differ in 2 bytes"):
        uninterruptible(engine, wasmtime.Engine(config), LOOP)


def test_a_file_that_is_no_artefact_is_refused() -> None:
    artefact = bytes(wasmtime.Module(new_engine(), "(module)").serialize())
    with pytest.raises(ConfigurationError, match="no section"):
        elf_section(artefact, ".nothing")
    for damaged in (b"", b"\x7fELF", artefact[:100], artefact[:0x28] + b"\xff" * 60):
        with pytest.raises(ConfigurationError):
            elf_section(damaged, configuration.ENGINE_SECTION)


def test_parallel_compilation_changes_nothing() -> None:
    assert engine_section(new_engine()) == engine_section(new_engine(parallel_compilation=False))


def test_the_key_names_the_whole_version_and_is_the_same_in_every_process() -> None:
    from importlib.metadata import version

    assert wasmtime_version() == version("wasmtime")
    assert configuration_key().startswith(f"wasmtime-{version('wasmtime')}-")
    command = (
        "from reifydb.sandbox.configuration import configuration_key; print(configuration_key())"
    )
    other = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == configuration_key()


SEPARABLE = set(configuration.SETTINGS) - {
    "wasm_reference_types",  # off, it ends the process
    "wasm_gc",  # these three need others to be on
    "wasm_function_references",
    "wasm_relaxed_simd",
}


@pytest.mark.parametrize("setting", sorted(SEPARABLE))
def test_every_setting_is_in_the_key(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = configuration_key()
    value = configuration.SETTINGS[setting]
    changed = not value if isinstance(value, bool) else value - (1 << 17)
    monkeypatch.setitem(configuration.SETTINGS, setting, changed)
    assert configuration_key.__wrapped__() != before


@pytest.mark.parametrize(
    "module", ["manifest", "host_functions", "cache", "binary", "inspection", "compiler"]
)
def test_importing_it_does_not_import_wasmtime(module: str) -> None:
    command = f"import sys, reifydb.sandbox.{module}; sys.exit('wasmtime' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)
