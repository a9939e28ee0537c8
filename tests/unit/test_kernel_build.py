"""kernel/build.py compiles when something has changed, and only then."""

import importlib.util
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EMPTY_MODULE = b"\0asm\x01\0\0\0"


@pytest.fixture
def kernel_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The script with sources of its own and a compiler that makes an empty module."""
    spec = importlib.util.spec_from_file_location("kernel_build", ROOT / "kernel" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def zig(*arguments: str) -> None:
        [out] = [a.split("=")[1] for a in arguments if a.startswith("-femit-bin=")]
        Path(out).write_bytes(EMPTY_MODULE)

    sources = tmp_path / "kernel"
    sources.mkdir()
    (sources / "main.zig").write_text("// one")
    monkeypatch.setattr(module, "KERNEL", sources)
    monkeypatch.setattr(module, "_zig", zig)
    return module


def test_it_compiles_again_only_when_a_source_has_changed(
    kernel_build: types.ModuleType, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "kernel.wasm"
    assert kernel_build.build(out)
    assert not kernel_build.build(out)
    (tmp_path / "kernel" / "main.zig").write_text("// two")
    assert kernel_build.build(out)
    (tmp_path / "kernel" / "more.zig").write_text("")
    assert kernel_build.build(out)
    assert not kernel_build.build(out)


def test_a_damaged_product_is_made_again(kernel_build: types.ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "kernel.wasm"
    kernel_build.build(out)
    made = out.read_bytes()
    out.write_bytes(made[:-1])
    assert kernel_build.build(out)
    assert out.read_bytes() == made
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["kernel.wasm"]


def test_the_digest_is_a_custom_section_at_the_end(
    kernel_build: types.ModuleType, tmp_path: Path
) -> None:
    out = tmp_path / "kernel.wasm"
    kernel_build.build(out)
    section = out.read_bytes()[len(EMPTY_MODULE) :]
    assert section[:2] == bytes([0, len(section) - 2])
    assert section[2:17] == b"\x0ereifydb.source"
    assert len(section) == 17 + 32
