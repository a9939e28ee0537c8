"""Primary keys and key prefixes between Python and bytes: rows of the first few key columns."""

from __future__ import annotations

from collections.abc import Sequence

from reifydb.engine.catalog import Column, Type
from reifydb.engine.rows import row_codec
from reifydb.errors import RequestError, WrongTypeError


class KeyCodec:
    """Keys of given columns. A key of one column may be given bare, without a tuple; a list is one
    of values as well, but where the only column is JSON: there it is the value.

    Built once per table; O(columns²), for there is a codec per length of prefix. Safe from several
    threads.

    Args:
        columns: The key's columns in key order.
        what: Names the thing in errors: `table account`.
        nullable: Null is a value like others, within a tuple: bounds of a secondary index.
    """

    def __init__(self, columns: Sequence[Column], *, what: str, nullable: bool = False) -> None:
        self.columns, self.what, self.nullable = tuple(columns), what, nullable
        self._rows = [
            row_codec(self.columns[:n], what=f"{what}, key") for n in range(1, len(columns) + 1)
        ]
        self._full = self._rows[-1]
        only_json = len(self.columns) == 1 and self.columns[0].type is Type.JSON
        self._several = (tuple,) if only_json else (tuple, list)
        self._bare_int = len(self.columns) == 1 and self.columns[0].type is Type.INT

    def encode(self, key: object) -> bytes:
        """A whole key: the value of a key of one column, a tuple or list of several. O(bytes).

        Raises:
            WrongTypeError: A value does not fit its column, or is null.
            RequestError: Too few or too many values.
        """
        if self._bare_int and type(key) is int:
            return self._full.encode((key,))
        values = self._values(key)
        if len(values) != len(self.columns):
            raise self._wrong_count(values, "")
        return self._full.encode(values)

    def encode_prefix(self, prefix: object) -> bytes:
        """The first few values of a key, at least one, bare when it is one. O(bytes).

        Raises:
            WrongTypeError, RequestError: As `encode`.
        """
        values = self._values(prefix)
        if not 1 <= len(values) <= len(self._rows):
            raise self._wrong_count(values, "1 to " if len(self._rows) > 1 else "")
        return self._rows[len(values) - 1].encode(values)

    def encode_many(self, keys: Sequence[object]) -> bytes:
        """Whole keys one after the other. O(bytes).

        Raises:
            WrongTypeError, RequestError: As `encode`.
        """
        if self._bare_int and set(map(type, keys)) <= {int}:
            return self._full.encode_many([(key,) for key in keys])
        return b"".join([self.encode(key) for key in keys])

    def of(self, row: Sequence[object], positions: Sequence[int]) -> object:
        """The key of a decoded row: bare when it has one column, else a tuple."""
        if len(positions) == 1:
            return row[positions[0]]
        return tuple([row[i] for i in positions])

    def _values(self, key: object) -> Sequence[object]:
        values = key if isinstance(key, self._several) else (key,)
        if not self.nullable and None in values[: len(self.columns)]:
            column = self.columns[[v is None for v in values].index(True)]
            raise WrongTypeError(
                f"{self.what}, key, column {column.name}: expected {column.sql_type}, got null",
                hint="a key is never null",
            )
        return values

    def _wrong_count(self, values: Sequence[object], least: str) -> RequestError:
        n = len(self.columns)
        listed = ", ".join(f"{c.name} {c.sql_type}" for c in self.columns)
        return RequestError(
            f"{self.what}, key: expected {least}{n} value{'' if n == 1 else 's'},"
            f" got {len(values)}",
            hint=f"the key is ({listed})",
        )
