"""Whether a history is strictly serializable: one order of all that happened explains every answer
and agrees with real time.

The order is that of the lsns, so there is nothing to search for: commits are replayed one by one,
and each must answer what it did answer. What changed nothing has no lsn of its own, and must have
seen the state at some lsn that real time allows: not older than what had returned before it began
(commits, and what others had seen), not younger than what began when it had returned.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from tests.serial.model import State, Step, play


@dataclass(frozen=True, slots=True)
class Event:
    """One transaction, or one read: what it did, when it was called and had returned.

    Attributes:
        lsn: Of its commit, or the last that it had seen; None when nobody said so.
        committed: Whether its changes stay.
    """

    thread: int
    invoked_ns: int
    returned_ns: int
    steps: tuple[Step, ...]
    lsn: int | None
    committed: bool


def check(events: Sequence[Event], first_lsn: int, last_lsn: int) -> tuple[list[str], State]:
    """What is wrong with a history that began with nothing at `first_lsn`; and the state after."""
    states, writers, problems = _replay(events, first_lsn, last_lsn)
    if not problems:
        problems += _commits_against_time(writers)
    if not problems:
        commits = {id(event) for event in writers}
        readers = [event for event in events if id(event) not in commits]
        problems += _reads(readers, writers, states, first_lsn)
    return problems, states[-1]


def explains(state: State, event: Event) -> State | None:
    """The state after the event if its answers are those of this state; else None."""
    after = state.copy()
    for step in event.steps:
        if play(after, step) != step.result:
            return None
    return after if event.committed else state


def _replay(
    events: Iterable[Event], first_lsn: int, last_lsn: int
) -> tuple[list[State], list[Event], list[str]]:
    by_lsn: dict[int, list[Event]] = {}
    for event in events:
        if event.lsn is not None and event.committed:
            by_lsn.setdefault(event.lsn, []).append(event)
    states, writers = [State()], []
    for lsn in range(first_lsn + 1, last_lsn + 1):
        found = by_lsn.get(lsn, [])
        fitting = [
            (event, after) for event in found if (after := explains(states[-1], event)) is not None
        ]
        # What changed nothing has seen this lsn; its answers tell that it did not make it.
        changing = [(event, after) for event, after in fitting if not after.same(states[-1])]
        if not fitting or len(changing) > 1:
            shown = found[0] if found else "nobody"
            return states, writers, [f"lsn {lsn}: {len(fitting)} commits explain it; {shown}"]
        # Writes that cancel each other out are a commit too: that of whoever returned first, for
        # the others have seen it.
        event, after = min(changing or fitting, key=lambda one: one[0].returned_ns)
        after.settle()
        writers.append(event)
        states.append(after)
    beyond = [lsn for lsn in by_lsn if not first_lsn <= lsn <= last_lsn]
    return states, writers, [f"there are no lsns {beyond[:5]}"] if beyond else []


def _commits_against_time(writers: Sequence[Event]) -> list[str]:
    latest: Event | None = None
    for event in writers:
        if latest is not None and event.returned_ns < latest.invoked_ns:
            return [f"{event} had returned before {latest} began, whose lsn is lower"]
        if latest is None or event.invoked_ns > latest.invoked_ns:
            latest = event
    return []


def _reads(
    readers: Sequence[Event], writers: Sequence[Event], states: Sequence[State], first_lsn: int
) -> list[str]:
    """Gives every read the oldest state it can have seen: the later ones have most room then."""
    place = {id(event): at for at, event in enumerate(writers, 1)}
    returned = sorted(writers, key=lambda event: event.returned_ns)
    returned_ns = [event.returned_ns for event in returned]
    newest = list(accumulate((place[id(event)] for event in returned), max, initial=0))
    invoked = sorted(writers, key=lambda event: event.invoked_ns)
    invoked_ns = [event.invoked_ns for event in invoked]
    following = (place[id(event)] for event in reversed(invoked))
    oldest = list(accumulate(following, min, initial=len(states)))[::-1]
    seen, under_way = 0, []
    for number, event in enumerate(sorted(readers, key=lambda event: event.invoked_ns)):
        while under_way and under_way[0][0] < event.invoked_ns:
            seen = max(seen, heapq.heappop(under_way)[2])
        least = max(seen, newest[bisect_left(returned_ns, event.invoked_ns)])
        most = oldest[bisect_right(invoked_ns, event.returned_ns)] - 1
        if event.lsn is not None:
            least, most = max(least, event.lsn - first_lsn), min(most, event.lsn - first_lsn)
        found = next((at for at in range(least, most + 1) if _saw(states[at], event)), None)
        if found is None:
            window = f"{first_lsn + least} to {first_lsn + most}"
            return [f"no state that real time allows, lsn {window}, explains {event}"]
        heapq.heappush(under_way, (event.returned_ns, number, found))
    return []


def _saw(state: State, event: Event) -> bool:
    after = explains(state, event)
    return after is not None and (not event.committed or after.same(state))
