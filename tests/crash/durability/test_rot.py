"""Damaged logs: cut at every byte, every bit flipped, segments deleted, swapped, doubled, foreign.

What is recovered is a prefix of the commits that includes everything acknowledged as durable, or
opening is refused with file, offset and lsn. The one thing that the files cannot tell from a torn
tail is rot in exactly the last group, when neither a mark nor a seal follows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from reifydb.durability import Group, open_log
from reifydb.durability.frame import OVERHEAD_BYTES
from reifydb.durability.identity import PLATE_BYTES, Folder, Head, write_head
from reifydb.durability.simulated import SimulatedStorage
from reifydb.errors import FormatVersionError, LogDamagedError
from tests.crash.durability.histories import (
    OPTIONS,
    PATH,
    check_prefix,
    group,
    open_without_thread,
    read_log,
    records,
)

SIZES = (1, 3, 2, 5, 1, 2, 4, 1, 6, 2)
"""Commits of each frame."""

LOG = f"{PATH}/log"


@dataclass
class Image:
    """A log on a disk: for each segment the ends of its frames and the lsns reached there."""

    storage: SimulatedStorage
    ends: dict[str, list[tuple[int, int]]]
    last_lsn: int
    last_frame: tuple[str, int]

    @property
    def paths(self) -> list[str]:
        return sorted(self.ends)

    def lsn_at(self, path: str, length: int) -> int:
        """The last commit whose frame is whole in the first `length` bytes."""
        first = int(path[-20:-4], 16)
        return max([first - 1, *(lsn for end, lsn in self.ends[path] if end <= length)])


def make(ending: str) -> Image:
    storage = SimulatedStorage()
    appender = open_without_thread(storage).appender
    ends: dict[str, list[tuple[int, int]]] = {}
    last_frame = ("", 0)
    for commits in SIZES:
        appender.append([group(appender.last_lsn + 1, commits)])
        assert appender._segment
        path = f"{LOG}/{appender._segment.name}"
        ends.setdefault(path, []).append((appender._offset, appender.last_lsn))
        size = len(records(appender.last_lsn - commits + 1, commits)) + OVERHEAD_BYTES
        last_frame = (path, appender._offset - size)
    if ending == "mark":
        appender.mark()
    elif ending == "seal":
        appender.seal()
    appender.close()
    image = Image(storage.after_kill(), ends, sum(SIZES), last_frame)
    assert len(image.paths) >= 3
    assert read_log(image.storage) == image.last_lsn
    return image


def read_or_refuse(storage: SimulatedStorage) -> tuple[int, LogDamagedError | None]:
    try:
        return read_log(storage), None
    except LogDamagedError as error:
        return 0, error


@pytest.fixture(params=["seal", "mark", "frame"])
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_flipping_any_bit_is_refused_or_harmless(ending: str) -> None:
    image = make(ending)
    masks = [1 << bit for bit in range(8)] if ending == "seal" else [0x01, 0x80, 0xFF]
    refused = harmless = shorter = 0
    for path in image.paths:
        sound = image.storage.read_image(path)
        for at in range(len(sound)):
            for mask in masks:
                rotten = bytearray(sound)
                rotten[at] ^= mask
                image.storage.write_image(path, bytes(rotten))
                lsn, error = read_or_refuse(image.storage)
                if error:
                    assert error.file == path
                    assert error.offset <= at
                    assert error.lsn <= image.lsn_at(path, at)
                    refused += 1
                    continue
                if lsn == image.last_lsn:
                    harmless += 1
                    continue
                assert ending == "frame", f"{path}, byte {at}, mask {mask}: {lsn} commits"
                assert (path, at) >= image.last_frame
                assert lsn == image.last_lsn - SIZES[-1]
                shorter += 1
        image.storage.write_image(path, sound)
    # Every byte of a seal or a mark at the end may rot without harm; nothing else may.
    assert refused > 1000
    assert (harmless > 0) == (ending != "frame")
    assert (shorter > 0) == (ending == "frame")


def test_cutting_the_log_at_any_byte_gives_the_commits_before_it(ending: str) -> None:
    """What a crash leaves when the log had grown to here, and not to its next byte."""
    image = make(ending)
    folder, uuid = Folder(PATH), image.storage.read_image(f"{PATH}/IDENTITY")[16:32]
    for path in reversed(image.paths):
        sound = image.storage.read_image(path)
        write_head(image.storage, folder, uuid, Head(1, int(path[-20:-4], 16)))
        for length in range(len(sound)):
            image.storage.write_image(path, sound[:length])
            if length < PLATE_BYTES:
                with pytest.raises(LogDamagedError):
                    read_log(image.storage)
            else:
                assert read_log(image.storage) == image.lsn_at(path, length)
        image.storage.write_image(path, None)


def test_cutting_a_segment_that_others_follow_is_refused(ending: str) -> None:
    image = make(ending)
    for path in image.paths[:-1]:
        sound = image.storage.read_image(path)
        for length in range(len(sound)):
            image.storage.write_image(path, sound[:length])
            with pytest.raises(LogDamagedError) as caught:
                read_log(image.storage)
            assert caught.value.file == path
            assert caught.value.lsn <= image.lsn_at(path, length)
        image.storage.write_image(path, sound)


def test_appending_anything_to_a_sealed_segment_is_refused() -> None:
    image = make("seal")
    for path in image.paths:
        sound = image.storage.read_image(path)
        for more in (b"\0", bytes(600), sound[PLATE_BYTES:]):
            image.storage.write_image(path, sound + more)
            with pytest.raises(LogDamagedError, match="after the seal"):
                read_log(image.storage)
        image.storage.write_image(path, sound)


def test_a_frame_written_twice_is_refused() -> None:
    image = make("frame")
    path, start = image.last_frame
    sound = image.storage.read_image(path)
    image.storage.write_image(path, sound + sound[start:])
    with pytest.raises(LogDamagedError, match=f"starts with lsn {image.last_lsn - 1}"):
        read_log(image.storage)


# ------------------------------------------------------------------ whole segments


def test_a_missing_segment_is_refused_whichever_it_is(ending: str) -> None:
    image = make(ending)
    for path in image.paths:
        sound = image.storage.read_image(path)
        image.storage.write_image(path, None)
        with pytest.raises(LogDamagedError):
            read_log(image.storage)
        image.storage.write_image(path, sound)


def test_swapped_segments_are_refused(ending: str) -> None:
    image = make(ending)
    for one in image.paths:
        for other in image.paths:
            if one == other:
                continue
            first, second = image.storage.read_image(one), image.storage.read_image(other)
            image.storage.write_image(one, second)
            image.storage.write_image(other, first)
            with pytest.raises(LogDamagedError, match="this is segment"):
                read_log(image.storage)
            image.storage.write_image(one, first)
            image.storage.write_image(other, second)


def test_a_doubled_segment_is_refused(ending: str) -> None:
    image = make(ending)
    for path in image.paths:
        double = f"{LOG}/{int(path[-20:-4], 16) + 1:016x}.seg"
        image.storage.write_image(double, image.storage.read_image(path))
        with pytest.raises(LogDamagedError):
            read_log(image.storage)
        image.storage.write_image(double, None)


def test_a_segment_of_another_database_is_refused(ending: str) -> None:
    image, other = make(ending), make(ending)
    for path in image.paths:
        sound = image.storage.read_image(path)
        image.storage.write_image(path, other.storage.read_image(path))
        with pytest.raises(LogDamagedError, match="another database"):
            read_log(image.storage)
        image.storage.write_image(path, sound)


def test_a_segment_of_another_life_of_the_database_is_refused() -> None:
    """A copy of the folder went on by itself: same uuid, same lsns, other commits."""
    opened = open_without_thread(disk := SimulatedStorage())
    opened.appender.append([group(1)])
    opened.appender.seal()
    copy = disk.after_kill()
    opened.log.close()
    paths = []
    for storage, second in ((disk, group(2)), (copy, Group(2, 1, b"theirs", bytes(16)))):
        opened = open_without_thread(storage)
        opened.appender.append([second])
        assert opened.appender._segment
        paths.append(f"{LOG}/{opened.appender._segment.name}")
        opened.appender.seal()
        opened.log.close()
    opened = open_without_thread(disk)
    opened.appender.append([group(3)])
    opened.appender.seal()
    opened.log.close()
    assert paths[0] == paths[1]
    disk.write_image(paths[0], copy.read_image(paths[0]))
    with pytest.raises(LogDamagedError, match="missing") as caught:
        list(open_log(PATH, OPTIONS, storage=disk).replay())
    assert caught.value.lsn == 2


def test_a_segment_with_a_strange_name_is_refused() -> None:
    image = make("seal")
    image.storage.write_image(f"{LOG}/copy.seg", b"")
    with pytest.raises(LogDamagedError, match="no segment has such a name"):
        read_log(image.storage)


# ------------------------------------------------------------------ HEAD and IDENTITY


@pytest.mark.parametrize("name", ["HEAD", "IDENTITY"])
def test_flipping_any_bit_of_the_small_files_is_refused(name: str) -> None:
    image = make("seal")
    path = f"{PATH}/{name}"
    sound = image.storage.read_image(path)
    for at in range(len(sound)):
        for bit in range(8):
            rotten = bytearray(sound)
            rotten[at] ^= 1 << bit
            image.storage.write_image(path, bytes(rotten))
            with pytest.raises((LogDamagedError, FormatVersionError)):
                read_log(image.storage)
    for length in range(len(sound)):
        image.storage.write_image(path, sound[:length])
        with pytest.raises((LogDamagedError, FormatVersionError)):
            read_log(image.storage)


def test_a_missing_head_is_refused() -> None:
    image = make("seal")
    image.storage.write_image(f"{PATH}/HEAD", None)
    with pytest.raises(LogDamagedError):
        read_log(image.storage)


def test_a_head_of_another_database_is_refused() -> None:
    image, other = make("seal"), make("seal")
    image.storage.write_image(f"{PATH}/HEAD", other.storage.read_image(f"{PATH}/HEAD"))
    with pytest.raises(LogDamagedError, match="another database"):
        read_log(image.storage)


# ------------------------------------------------------------------ what a refusal leaves


def test_a_refused_log_is_left_as_it_was() -> None:
    image = make("mark")
    path = image.paths[1]
    rotten = bytearray(image.storage.read_image(path))
    rotten[PLATE_BYTES + 3] ^= 1
    image.storage.write_image(path, bytes(rotten))
    before = image.storage.steps
    with pytest.raises(LogDamagedError):
        open_without_thread(image.storage)
    assert image.storage.steps == before


def test_a_torn_tail_is_kept_in_quarantine() -> None:
    image = make("frame")
    path, start = image.last_frame
    torn = image.storage.read_image(path)[:-1]
    image.storage.write_image(path, torn)
    opened = open_without_thread(image.storage)
    assert opened.recovered == image.last_lsn - SIZES[-1]
    assert opened.log.quarantined
    assert image.storage.read_image(opened.log.quarantined) == torn[start:]
    opened.appender.append([group(opened.recovered + 1)])
    opened.log.close()
    assert read_log(image.storage) == opened.recovered + 1


def test_rows_that_hold_bytes_of_the_log_do_not_pass_for_frames() -> None:
    """A tail is torn although its rows hold every byte that was ever written before."""
    image = make("frame")
    everything = b"".join(image.storage.read_image(path) for path in image.paths)
    opened = open_without_thread(image.storage)
    opened.appender.append([Group(opened.recovered + 1, 1, everything, bytes(16))])
    opened.appender.append([Group(opened.recovered + 2, 1, everything, bytes(16))])
    assert opened.appender._segment
    path = f"{LOG}/{opened.appender._segment.name}"
    opened.log.close()
    whole = image.storage.read_image(path)
    image.storage.write_image(path, whole[:-1])
    log = open_log(PATH, OPTIONS, storage=image.storage)
    groups = list(log.replay())
    assert check_prefix(groups[:-1]) == image.last_lsn
    assert groups[-1].records == everything
