"""The compile cache: what it believes, what it forgets, and that it never fails."""

from __future__ import annotations

import multiprocessing
import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reifydb.sandbox import cache as module
from reifydb.sandbox.cache import Cache, content_key, default_cache, default_folder

CODE = b"machine code" * 100


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "below" / "code")


def entries(cache: Cache) -> list[Path]:
    assert cache.folder is not None
    return sorted(cache.folder.iterdir())


def entry_of(cache: Cache, key: str) -> Path:
    assert cache.folder is not None
    return cache.folder / module._entry(key)


def entry(cache: Cache) -> Path:
    (one,) = entries(cache)
    return one


def test_what_was_put_is_found_by_another_process(cache: Cache) -> None:
    assert cache.get("key") is None
    cache.put("key", CODE)
    assert Cache(cache.folder).get("key") == CODE
    assert cache.get("other") is None
    cache.remove("key")
    cache.remove("key")
    assert cache.get("key") is None


def test_it_is_made_once(cache: Cache) -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return CODE

    assert [cache.cached("key", make) for _ in range(3)] == [CODE] * 3
    assert len(made) == 1


@given(st.text(max_size=30), st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_key_and_content(tmp_path: Path, key: str, content: bytes) -> None:
    try:
        key.encode()
    except UnicodeEncodeError:
        return
    cache = Cache(tmp_path / "code")
    cache.put(key, content)
    assert cache.get(key) == content


def test_only_this_user_may_look_and_write_whatever_the_umask(cache: Cache) -> None:
    before = os.umask(0)
    try:
        cache.put("key", CODE)
    finally:
        os.umask(before)
    assert cache.folder is not None
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry(cache).stat().st_mode) == 0o600


# ------------------------------------------------------------------ not believed


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o720])
def test_a_folder_that_others_can_write_to_is_not_used(cache: Cache, mode: int) -> None:
    cache.put("key", CODE)
    assert cache.folder is not None
    cache.folder.chmod(mode)
    assert cache.get("key") is None
    assert "can be written to by others" in (cache.refused() or "")
    assert cache.cached("key", lambda: b"made again") == b"made again"
    cache.folder.chmod(0o755)
    assert cache.get("key") == CODE
    assert cache.refused() is None


def test_a_folder_of_someone_else_is_not_used(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put("key", CODE)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.get("key") is None
    assert "belongs to another user" in (cache.refused() or "")
    cache.put("other", CODE)
    monkeypatch.undo()
    assert len(entries(cache)) == 1


def test_an_entry_that_others_can_write_to_is_removed(cache: Cache) -> None:
    cache.put("key", CODE)
    entry(cache).chmod(0o666)
    assert cache.get("key") is None
    assert entries(cache) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_an_entry_of_someone_else_is_removed(cache: Cache) -> None:
    cache.put("key", CODE)
    os.chown(entry(cache), 12345, 12345)
    assert cache.get("key") is None
    assert entries(cache) == []


def test_a_link_in_place_of_an_entry_is_not_followed(cache: Cache, tmp_path: Path) -> None:
    cache.put("key", CODE)
    outside = tmp_path / "outside"
    entry(cache).rename(outside)
    assert cache.folder is not None
    (cache.folder / module._entry("key")).symlink_to(outside)
    assert cache.get("key") is None
    assert cache.cached("key", lambda: CODE) == CODE
    assert not entry(cache).is_symlink()


def test_an_entry_under_the_name_of_another_is_removed(cache: Cache) -> None:
    cache.put("key", CODE)
    entry(cache).rename(entry(cache).with_name(module._entry("other")))
    assert cache.get("other") is None
    assert entries(cache) == []


def test_every_cut_and_every_flipped_byte_is_noticed(cache: Cache) -> None:
    cache.put("key", b"some code")
    path = entry(cache)
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))] + [whole + b"\0"]
    damaged += [
        whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
        for at in range(len(whole))
        for bit in range(8)
    ]
    for content in damaged:
        path.write_bytes(content)
        path.chmod(0o600)
        assert cache.get("key") is None
        assert not path.exists()


def test_a_folder_in_place_of_an_entry_does_no_harm(cache: Cache) -> None:
    cache.put("other", CODE)
    assert cache.folder is not None
    (cache.folder / module._entry("key")).mkdir(mode=0o700)
    assert cache.cached("key", lambda: CODE) == CODE


# ------------------------------------------------------------------ never fails


def test_a_file_in_place_of_the_folder_is_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "code"
    path.write_text("a file")
    cache = Cache(path)
    assert cache.cached("key", lambda: CODE) == CODE
    assert "Not a directory" in (cache.refused() or "")
    below = Cache(path / "code")
    assert below.cached("key", lambda: CODE) == CODE


def test_no_folder_is_no_cache() -> None:
    cache = Cache(None)
    assert cache.cached("key", lambda: CODE) == CODE
    assert cache.get("key") is None
    assert cache.refused() == "there is no folder for it"


@pytest.mark.skipif(os.getuid() == 0, reason="root can write anywhere")
def test_a_folder_that_cannot_be_written_to_is_read_only(cache: Cache) -> None:
    cache.put("key", CODE)
    assert cache.folder is not None
    cache.folder.chmod(0o500)
    cache.put("other", CODE)
    assert cache.get("key") == CODE
    assert cache.get("other") is None


def test_a_read_only_disk_is_read_from(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    cache.put("key", CODE)
    for operation in ("utime", "unlink", "replace"):
        monkeypatch.setattr(os, operation, fail)
    assert cache.get("key") == CODE
    assert cache.cached("other", lambda: b"made") == b"made"
    path = entry_of(cache, "key")
    path.write_bytes(b"damaged")
    assert cache.get("key") is None


@pytest.mark.parametrize("failing", ["write", "replace", "mkdir", "open"])
def test_a_full_disk_is_no_cache(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if failing == "write":
        monkeypatch.setattr(module, "_packed", fail)
    else:
        monkeypatch.setattr(os, failing, fail)
    assert cache.cached("key", lambda: CODE) == CODE
    assert cache.get("key") is None
    monkeypatch.undo()
    if failing not in ("mkdir", "open"):
        assert entries(cache) == []
    assert cache.cached("key", lambda: CODE) == CODE
    assert cache.get("key") == CODE


def test_an_error_of_the_maker_is_passed_on(cache: Cache) -> None:
    def make() -> bytes:
        raise OSError("its own")

    with pytest.raises(OSError, match="its own"):
        cache.cached("key", make)


# ------------------------------------------------------------------ size


def test_those_unused_for_longest_are_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "code", bytes_max=3000)
    for i, key in enumerate("abc"):
        cache.put(key, b"x" * 900)
        os.utime(tmp_path / "code" / module._entry(key), (i, i))
    assert cache.get("a") is not None  # used: now the youngest
    cache.put("d", b"x" * 900)
    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "c", "d"]
    assert sum(path.stat().st_size for path in entries(cache)) <= 3000


def test_what_is_larger_than_everything_is_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "code", bytes_max=1000)
    cache.put("small", b"x" * 100)
    cache.put("large", b"x" * 1000)
    assert cache.get("large") is None
    assert cache.get("small") is not None


def test_a_put_does_not_look_at_all_entries_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    prune = Cache._prune
    monkeypatch.setattr(
        Cache, "_prune", lambda cache, folder: (looks.append(1), prune(cache, folder))
    )
    cache = Cache(tmp_path / "code", bytes_max=640_000)
    for i in range(200):
        cache.put(f"key {i}", b"x" * 1000)
    assert 2 <= len(looks) <= 200 * 1100 // 10_000 + 1
    for i in range(700):
        cache.put(f"another {i}", b"x" * 1000)
    assert sum(path.stat().st_size for path in entries(cache)) <= 640_000 * 65 // 64 + 1100


def test_files_of_dead_writers_are_removed(cache: Cache) -> None:
    cache.put("key", CODE)
    assert cache.folder is not None
    old, young = cache.folder / "dead.new", cache.folder / "alive.new"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    long_ago = time.time() - module.UNFINISHED_S_MAX - 60
    os.utime(old, (long_ago, long_ago))
    Cache(cache.folder).put("other", CODE)
    assert not old.exists()
    assert young.exists()


# ------------------------------------------------------------------ several processes


def _use(folder: Path, seed: int) -> int:
    """Counts wrong answers while others put, remove and prune the same keys."""
    cache = Cache(folder, bytes_max=20_000)
    wrong = 0
    for i in range(150):
        key = f"key{(i * 7 + seed) % 10}"
        found = cache.cached(key, lambda key=key: key.encode() * 500)  # type: ignore[misc]
        wrong += found != key.encode() * 500
        if i % 10 == seed:
            cache.remove(key)
    return wrong


def test_several_processes_share_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        assert pool.starmap(_use, [(tmp_path / "code", seed) for seed in range(3)]) == [0, 0, 0]


# ------------------------------------------------------------------ where, and under which key


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REIFYDB_CACHE", "/somewhere/else")
    assert default_folder() == Path("/somewhere/else")
    monkeypatch.setenv("REIFYDB_CACHE", "relative")
    assert default_folder() == Path("relative").absolute()
    monkeypatch.setenv("REIFYDB_CACHE", "")
    assert default_folder() is None
    assert default_cache().refused() is not None
    monkeypatch.delenv("REIFYDB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_folder() == Path("/xdg/reifydb")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", "/home/ada")
    folder = default_folder()
    assert folder is not None
    assert folder.is_relative_to("/home/ada")
    assert folder.name == "reifydb"


def test_keys_differ_with_each_part_and_with_their_borders() -> None:
    keys = [
        content_key("c", "ab", b"c"),
        content_key("c", "a", b"bc"),
        content_key("c", "abc"),
        content_key("ca", "bc"),
        content_key("c", "abc", ""),
    ]
    assert len(set(keys)) == len(keys)
    assert content_key("c", "ab") == content_key("c", b"ab")
