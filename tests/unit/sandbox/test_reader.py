"""Integers and sections: what is read, and where malformed bytes are refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reifydb.errors import ModuleError
from reifydb.sandbox.binary import assemble, uint
from reifydb.sandbox.reader import MAGIC, Reader, Section, read_sections


def sint(value: int) -> bytes:
    out = bytearray()
    while not -64 <= value < 64:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def refused(reader: Reader, bits: int, *, signed: bool = False) -> str:
    with pytest.raises(ModuleError) as caught:
        reader.sint(bits) if signed else reader.uint(bits)
    return caught.value.problems[0]


@given(st.integers(0, 2**64 - 1))
def test_unsigned_integers_are_read_back(value: int) -> None:
    reader = Reader(uint(value), "it")
    assert reader.uint(64) == value
    reader.end()


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_integers_are_read_back(value: int) -> None:
    reader = Reader(sint(value), "it")
    assert reader.sint(64) == value
    reader.end()


@given(st.integers(2**32, 2**64 - 1))
def test_an_unsigned_integer_that_is_too_large_is_refused(value: int) -> None:
    assert "32 bits" in refused(Reader(uint(value), "it"), 32)


@given(st.one_of(st.integers(2**31, 2**63 - 1), st.integers(-(2**63), -(2**31) - 1)))
def test_a_signed_integer_that_is_too_large_is_refused(value: int) -> None:
    assert "32 bits" in refused(Reader(sint(value), "it"), 32, signed=True)


@pytest.mark.parametrize("bits", [32, 33, 64])
def test_an_integer_without_end_is_refused(bits: int) -> None:
    assert "longer than" in refused(Reader(b"\x80" * 100, "it"), bits)
    assert "ends too early" in refused(Reader(b"\x80", "it"), bits)
    assert refused(Reader(b"", "the thing"), bits) == "the thing, byte 0: ends too early"


def test_an_integer_may_be_longer_than_it_must() -> None:
    assert Reader(b"\x85\x80\x80\x80\x00", "it").uint() == 5
    assert Reader(b"\xff\xff\xff\xff\x7f", "it").sint(32) == -1


def test_nothing_is_read_beyond_the_end() -> None:
    reader = Reader(b"abc", "it")
    with pytest.raises(ModuleError, match="4 bytes announced, 3 are there"):
        reader.take(4)
    assert reader.take(3) == b"abc"
    with pytest.raises(ModuleError):
        reader.byte()


@given(st.binary(max_size=400), st.lists(st.sampled_from("bunvc")))
def test_any_bytes_read_in_any_way_end_in_a_value_or_an_error(data: bytes, ways: list[str]) -> None:
    reader = Reader(data, "it")
    read = {
        "b": reader.byte,
        "u": lambda: reader.uint(64),
        "n": reader.name,
        "v": reader.value_type,
        "c": reader.constant,
    }
    with suppress(ModuleError):
        for way in ways:
            read[way]()
    assert 0 <= reader.at <= len(data)


@given(st.binary(max_size=200))
def test_any_bytes_behind_the_magic_are_sections_or_an_error(data: bytes) -> None:
    with suppress(ModuleError):
        sections = read_sections(MAGIC + data)
        again = read_sections(assemble(sections))
        assert again == sections


def test_sections_are_split_and_joined() -> None:
    sections = [Section(0, b"\1x"), Section(1, b"\0"), Section(0, b"\1y"), Section(5, b"\1\0\1")]
    assert read_sections(assemble(sections)) == sections
