"""Frames: any group comes back as it was, and any other bytes are not a frame."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reifydb.config import Options
from reifydb.durability import Group, open_log
from reifydb.durability.frame import HEADER_BYTES, Frame, Kind, decode, encode
from reifydb.durability.simulated import SimulatedStorage

u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
frames = st.builds(
    Frame,
    kind=st.sampled_from(Kind),
    body_bytes=u32,
    commits=u32,
    first_lsn=u64,
    durable_lsn=u64,
    incarnation=u32,
    chain=u32,
    state_hash=st.binary(min_size=16, max_size=16),
)


@given(frame=frames, body=st.binary(max_size=200), seed=u32)
def test_a_header_decodes_to_what_was_encoded(frame: Frame, body: bytes, seed: int) -> None:
    header, _, _ = encode(frame, body, seed)
    assert len(header) == HEADER_BYTES
    assert decode(header, seed) == frame
    assert decode(header, seed ^ 1) is None


@given(data=st.binary(min_size=0, max_size=80), seed=u32)
def test_other_bytes_are_no_header(data: bytes, seed: int) -> None:
    assert decode(data, seed) is None


@given(
    histories=st.lists(
        st.lists(st.tuples(st.integers(1, 1000), st.binary(max_size=400)), max_size=6), max_size=4
    ),
    segment_bytes_max=st.integers(64, 1000),
)
def test_every_history_comes_back(
    histories: list[list[tuple[int, bytes]]], segment_bytes_max: int
) -> None:
    disk = SimulatedStorage()
    options = Options(segment_bytes_max=segment_bytes_max, reserve_bytes=0)
    sent: list[Group] = []
    for history in histories:
        log = open_log("/db", options, storage=disk)
        assert list(log.replay()) == sent
        log.start()
        for commits, records in history:
            group = Group(log.lsn + 1, commits, records, bytes([commits % 256]) * 16)
            log.append(group)
            log.flush()
            sent.append(group)
        log.close()
    log = open_log("/db", options, storage=disk)
    assert list(log.replay()) == sent
    log.close()
