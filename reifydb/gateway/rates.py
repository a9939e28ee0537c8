"""Rates: how many requests a second a token, or an address, may make.

Each has a bucket that fills at its rate and holds a second's worth (at least one request). Whoever
has something in it may ask, for a frame or a batch of any number too; what goes beyond is owed, and
has to flow in before the next one.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from reifydb.config import rate_keys_max
from reifydb.errors import OverloadedError


class Rates:
    """The buckets of one kind.

    Args:
        limit: Its name, for whoever reaches it.
        per_s: Requests a second; None: as many as they like.
    """

    def __init__(self, limit: str, per_s: float | None) -> None:
        self._limit, self._per_s = limit, per_s
        self._full = max(1.0, per_s or 0.0)
        self._buckets: dict[str, tuple[float, float]] = {}  # what was in it, and when

    def take(self, key: str, count: int, now_s: float) -> None:
        """Somebody asks for something. 0.5 µs.

        Raises:
            OverloadedError: It has asked for too much lately; says when it may again.
        """
        per_s = self._per_s
        if per_s is None:
            return
        level, at_s = self._buckets.pop(key, (self._full, now_s))
        level = min(self._full, level + (now_s - at_s) * per_s)
        allowed = level >= 1
        self._buckets[key] = level - count if allowed else level, now_s
        if len(self._buckets) > rate_keys_max:  # the one that has asked for nothing for longest
            del self._buckets[next(iter(self._buckets))]
        if not allowed:
            raise OverloadedError(
                f"more than {per_s:g} requests a second ({self._limit})",
                retry_after_s=(1 - level) / per_s,
            )


def address_key(address: str | None) -> str:
    """Whose bucket an address has: of IPv6 the network, for a host has as many as it likes there.

    >>> address_key("192.0.2.7"), address_key("2001:db8::7:1")
    ('192.0.2.7', '2001:db8::')
    """
    try:
        found = ip_address((address or "").partition("%")[0])
    except ValueError:
        return ""
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> 64 << 64))
