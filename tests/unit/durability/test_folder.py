"""Whose folder it is: new ones, foreign ones, newer ones, ones in use by another process."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from reifydb.config import Options
from reifydb.durability import open_log
from reifydb.durability.identity import seal_plate
from reifydb.errors import (
    ForkedError,
    FormatVersionError,
    LockedError,
    LogDamagedError,
    StorageError,
)
from tests.crash.durability.histories import group

OPTIONS = Options(reserve_bytes=4096)

HOLDER = """
import sys
from reifydb.config import Options
from reifydb.durability import open_log
log = open_log(sys.argv[1], Options(reserve_bytes=4096))
log.start()
print("open", flush=True)
sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """A process that has the log open."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    assert holder.stdout.readline() == "open\n"
    return holder


def test_a_second_process_is_refused_with_the_number_of_the_first(tmp_path: Path) -> None:
    with hold(tmp_path) as holder:
        with pytest.raises(LockedError) as caught:
            open_log(str(tmp_path), OPTIONS)
        assert caught.value.pid == holder.pid
        holder.communicate()


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    with hold(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    log = open_log(str(tmp_path), OPTIONS)
    assert log.incarnation == 2
    log.start()
    log.close()


def test_a_second_handle_in_one_process_is_refused(tmp_path: Path) -> None:
    log = open_log(str(tmp_path), OPTIONS)
    with pytest.raises(LockedError) as caught:
        open_log(str(tmp_path), OPTIONS)
    assert caught.value.pid == os.getpid()
    assert caught.value.path == str(tmp_path)
    log.close()
    open_log(str(tmp_path), OPTIONS).close()


def test_a_forked_child_is_refused_and_does_not_hold_the_lock(tmp_path: Path) -> None:
    log = open_log(str(tmp_path), OPTIONS)
    log.start()
    log.append(group(1))
    log.flush()
    outcome, answer = os.pipe()
    stay, leave = os.pipe()
    child = os.fork()
    if not child:
        refused = 0
        for use in (log.admit, log.flush, lambda: log.append(group(2))):
            try:
                use()
            except ForkedError:
                refused += 1
        log.close()
        os.write(answer, b"%d" % refused)
        os.close(leave)
        os.read(stay, 1)
        os._exit(0)
    assert os.read(outcome, 1) == b"3"
    log.append(group(2))
    log.close()
    again = open_log(str(tmp_path), OPTIONS)  # the child is still there
    assert [each.first_lsn for each in again.replay()] == [1, 2]
    again.close()
    for end in (outcome, answer, stay, leave):
        os.close(end)
    os.waitpid(child, 0)


def test_the_child_of_a_killed_process_does_not_hold_the_lock(tmp_path: Path) -> None:
    fork = HOLDER.replace(
        'print("open", flush=True)',
        "import os, time\n"
        "if not os.fork():\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(600)",
    )
    with subprocess.Popen(
        [sys.executable, "-c", fork, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        try:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            open_log(str(tmp_path), OPTIONS).close()
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_folder_of_something_else_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear all")
    with pytest.raises(FormatVersionError, match=r"letters\.txt"):
        open_log(str(tmp_path), OPTIONS)
    assert os.listdir(tmp_path) == ["letters.txt"]


def test_an_identity_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "IDENTITY").write_text("7f1c9f0e-3c1b-4f5e")
    with pytest.raises(FormatVersionError, match="not written by ReifyDB"):
        open_log(str(tmp_path), OPTIONS)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        open_log(str(tmp_path / "file"), OPTIONS)
    with pytest.raises(StorageError):
        open_log(str(tmp_path / "file" / "below"), OPTIONS)


@pytest.mark.parametrize("name", ["IDENTITY", "HEAD", "segment"])
def test_a_newer_version_is_refused_by_name(tmp_path: Path, name: str) -> None:
    log = open_log(str(tmp_path), OPTIONS)
    log.start()
    log.append(group(1))
    log.close()
    path = next((tmp_path / "log").iterdir()) if name == "segment" else tmp_path / name
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 8, 2)
    seed = zlib.crc32(log.uuid) if name == "segment" else 0
    path.write_bytes(seal_plate(bytes(data[:60]), seed) + data[64:])
    with pytest.raises(FormatVersionError, match="format version 2") as caught:
        open_log(str(tmp_path), OPTIONS)
    assert str(path) in str(caught.value)


def test_a_refused_opening_gives_the_lock_back(tmp_path: Path) -> None:
    log = open_log(str(tmp_path), OPTIONS)
    log.start()
    log.close()
    head = (tmp_path / "HEAD").read_bytes()
    (tmp_path / "HEAD").write_bytes(bytes(64))
    with pytest.raises(LogDamagedError):
        open_log(str(tmp_path), OPTIONS)
    (tmp_path / "HEAD").write_bytes(head)
    open_log(str(tmp_path), OPTIONS).close()


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    log = open_log(str(tmp_path / "db"), OPTIONS)
    log.start()
    log.close()
    for path in [tmp_path / "db", *(tmp_path / "db").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_opening_often_without_commits_leaves_one_segment(tmp_path: Path) -> None:
    for incarnation in range(1, 6):
        log = open_log(str(tmp_path), OPTIONS)
        assert log.incarnation == incarnation
        log.start()
        log.close()
    assert len(list((tmp_path / "log").iterdir())) == 1
