"""The reader: sound bytes in a wrong place are damage, and evidence is found wherever it lies."""

from __future__ import annotations

import dataclasses

import pytest

from reifydb.config import frame_bytes_max
from reifydb.durability import reader as reader_module
from reifydb.durability.frame import SEAL_BODY, Frame, Kind, encode, seed_of
from reifydb.durability.reader import BadFrame, FrameReader, frame_behind
from reifydb.durability.segment import Segment
from reifydb.durability.segment import encode as encode_segment
from reifydb.durability.simulated import SimulatedFile, SimulatedStorage

UUID = b"0123456789abcdef"
SEGMENT = Segment(incarnation=3, first_lsn=10, chain=77)
HEADER, CHAIN = encode_segment(SEGMENT, UUID)
BODY = b"records"
GOOD = Frame(Kind.COMMITS, len(BODY), 2, 10, 9, 3, CHAIN, bytes(16))


def file_of(data: bytes) -> SimulatedFile:
    storage = SimulatedStorage()
    storage.write_image("/file", data)
    return storage.open_file("/file")


def bytes_of(frame: Frame, body: bytes) -> bytes:
    header, trailer, _ = encode(frame, body, seed_of(UUID))
    return header + body + trailer


def read_one(data: bytes) -> tuple[Frame, bytes] | BadFrame | None:
    return FrameReader(file_of(HEADER + data), SEGMENT, UUID, CHAIN).next()


def test_a_frame_in_its_place_is_read() -> None:
    assert read_one(bytes_of(GOOD, BODY)) == (GOOD, BODY)
    assert read_one(b"") is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"incarnation": 2}, "incarnation 2"),
        ({"first_lsn": 11}, "starts with lsn 11"),
        ({"first_lsn": 9, "durable_lsn": 8}, "starts with lsn 9"),
        ({"chain": 78}, "does not follow"),
        ({"durable_lsn": 10}, "knows of lsn 10"),
        ({"commits": 0}, "0 commits"),
        ({"kind": Kind.MARK}, "2 commits"),
        ({"kind": Kind.MARK, "commits": 0}, "wrong length"),
        ({"kind": Kind.SEAL, "commits": 0}, "wrong length"),
        ({"body_bytes": frame_bytes_max + 1}, "longer than the limit"),
    ],
)
def test_a_sound_frame_that_contradicts_the_log_is_damage(
    change: dict[str, int], reason: str
) -> None:
    bad = read_one(bytes_of(dataclasses.replace(GOOD, **change), BODY))
    assert isinstance(bad, BadFrame)
    assert not bad.may_be_torn
    assert reason in bad.reason


@pytest.mark.parametrize("counts", [(2, 1, 0), (3, 1, None), (2, 2, None)])
def test_a_seal_that_counts_other_commits_is_damage(counts: tuple[int, int, int | None]) -> None:
    first, _, chain = encode(GOOD, BODY, seed_of(UUID))
    commits, frames, stated = counts
    body = SEAL_BODY.pack(commits, frames, chain if stated is None else stated)
    seal = Frame(Kind.SEAL, len(body), 0, 12, 11, 3, chain, bytes(16))
    data = HEADER + bytes_of(GOOD, BODY) + bytes_of(seal, body)
    reader = FrameReader(file_of(data), SEGMENT, UUID, CHAIN)
    assert reader.next() == (GOOD, BODY)
    bad = reader.next()
    assert isinstance(bad, BadFrame)
    assert not bad.may_be_torn
    assert first


@pytest.mark.parametrize("length", range(1, 68 + len(BODY)))
def test_a_frame_cut_short_may_be_torn(length: int) -> None:
    bad = read_one(bytes_of(GOOD, BODY)[:length])
    assert isinstance(bad, BadFrame)
    assert bad.may_be_torn
    assert bad.offset == 64


def test_a_length_is_checked_before_it_is_read() -> None:
    """A frame that claims 64 MiB more than the file has: nothing of that size is read."""
    reads: list[int] = []

    class Watched(SimulatedFile):
        def read(self, offset: int, length: int) -> bytes:
            reads.append(length)
            return SimulatedFile.read(self, offset, length)

    plain = file_of(HEADER + bytes_of(dataclasses.replace(GOOD, body_bytes=frame_bytes_max), BODY))
    watched = Watched(plain.storage, plain.inode, plain.path)
    assert isinstance(FrameReader(watched, SEGMENT, UUID, CHAIN).next(), BadFrame)
    assert max(reads) <= 1 << 20


def test_frames_are_read_the_same_whatever_the_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    data, chain, frames = HEADER, CHAIN, []
    for n in range(8):
        body = bytes([n]) * (n * 23)
        frame = Frame(Kind.COMMITS, len(body), 1, 10 + n, 9 + n, 3, chain, bytes(16))
        header, trailer, chain = encode(frame, body, seed_of(UUID))
        data += header + body + trailer
        frames.append((frame, body))
    for size in (1, 63, 64, 65, 100, 131, 1000):
        monkeypatch.setattr(reader_module, "_READ_BYTES", size)
        reader = FrameReader(file_of(data), SEGMENT, UUID, CHAIN)
        assert list(iter(reader.next, None)) == frames


def test_a_frame_behind_is_found_wherever_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_READ_BYTES", 100)
    header = bytes_of(GOOD, BODY)[:64]
    for at in range(5, 330):
        file = file_of(bytes(at) + header + bytes(at % 7))
        found = frame_behind(file, SEGMENT, UUID, start=5, next_lsn=10)
        assert found == at
        assert frame_behind(file, SEGMENT, UUID, start=5, next_lsn=11) is None
        assert frame_behind(file, SEGMENT, b"another-database", start=5, next_lsn=10) is None
        assert frame_behind(file, Segment(4, 10, 0), UUID, start=5, next_lsn=10) is None
