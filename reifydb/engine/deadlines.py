"""Deadlines: a watchdog thread ends a transition that takes too long, and never strikes the kernel.

Kernel, dispatch and probe are compiled without epoch checks, so nothing can interrupt them. The
watchdog looks at the serial of the running transition in kernel memory and advances the engine's
epoch only when that one is overdue; the guest ends at its next epoch check. Should its victim have
finished just then, the next call is struck: it is undone and run again.

One thread of the process, the patrol, serves all watchdogs, and sleeps while nothing runs.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reifydb.engine.ffi import NEVER_TICKS, CallEnded, Engine

if TYPE_CHECKING:
    from reifydb.engine.kernel import Kernel

LOOKS_PER_DEADLINE = 8
"""A transition is ended after at most 1 + 1/8 of its deadline, and one wake-up of this thread."""

INTERVAL_S_MIN, INTERVAL_S_MAX = 0.001, 0.05
IDLE_LOOKS_MAX = 20
"""After so many looks at an idle kernel the thread waits to be woken."""

START_SERIAL = 1 << 63
"""From here on serials stand for start functions, which run outside of any call."""


class Watchdog:
    """Watches one kernel. Its engine must serve that kernel only: an engine has one epoch.

    Attributes:
        busy: A guest may be running. Set by the engine's thread, read by the watchdog's.
        asleep: The patrol does not look. Set by both: by the engine's thread to False, after it has
            told the patrol to.
        mistaken: How often another call than the overdue one was struck, and run again.
    """

    def __init__(self, deadline_ms: float) -> None:
        self.default_ms = deadline_ms
        self.by_transition: Mapping[int, float] = {}
        self.mistaken = 0
        self._victim = 0
        self._starts = 0
        self._starting = 0
        self.busy = False
        self._kernel: Kernel | None = None
        self._engine: Engine | None = None
        self._reading = threading.Lock()  # kernel memory stays mapped while it is read
        self.asleep = True
        self._watched, self._since, self._idle = 0, 0.0, 0  # the patrol's own

    def attach(self, kernel: Kernel) -> None:
        """From now on this kernel's present store is watched."""
        with self._reading:
            self._kernel = kernel
            self._engine = kernel.engine
        self.rearm(kernel)

    def detach(self) -> None:
        """Before the kernel's memory goes away. The thread reads nothing afterwards."""
        with self._reading:
            self._kernel = None

    def stop(self) -> None:
        """For good: nothing of the kernel is read, and its engine is left alone, from now on."""
        with self._reading:
            self._kernel = self._engine = None
        _patrol.remove(self)

    # ------------------------------------------------------------------ engine thread

    def begin(self) -> None:
        """Before a call that runs guests."""
        self.busy = True  # before looking whether the thread sleeps: it looks the other way round
        if self.asleep:
            self._rouse()

    def rearm(self, kernel: Kernel) -> None:
        """Guests end when the epoch advances by one from now: after `attach` and each strike."""
        kernel.store.set_deadline(1)

    def disarm(self, kernel: Kernel) -> None:
        """First of all after a call was ended: bridges have epoch checks as well."""
        kernel.store.set_deadline(NEVER_TICKS)

    def rest(self) -> None:
        """No guest runs any more."""
        self.busy = False

    def start_begins(self) -> int:
        """A start function is about to run; the serial that stands for it."""
        self._starts += 1
        self._starting = START_SERIAL + self._starts
        if self.asleep:
            self._rouse()
        return self._starting

    def start_ended(self) -> None:
        """The start function has returned or was ended."""
        self._starting = 0

    def struck(self, ended: CallEnded, serial: int) -> bool | None:
        """Whether call `serial` was ended for its deadline; None: by mistake, run it again."""
        if not ended.interrupted:
            return False
        if serial == self._victim:
            return True
        self.mistaken += 1
        return None

    def deadline_ms(self, transition: int) -> float:
        """What a transition may take."""
        return self.by_transition.get(transition, self.default_ms)

    def _rouse(self) -> None:
        _patrol.add(self)
        self.asleep = False  # last: interrupted before, the next call does it again

    # ------------------------------------------------------------------ the patrol's thread

    def interval_s(self) -> float:
        """How often it wants to be looked at."""
        least_ms = min([self.default_ms, *self.by_transition.values()])
        return min(max(least_ms / 1000 / LOOKS_PER_DEADLINE, INTERVAL_S_MIN), INTERVAL_S_MAX)

    def look(self) -> None:
        """Ends what is overdue; falls asleep when there has been nothing to watch for long."""
        serial, transition = self._look()
        now = time.monotonic()
        if serial != self._watched:
            self._watched, self._since, self._idle = serial, now, 0
        elif serial == 0:
            self._idle += 1
            if self._idle > IDLE_LOOKS_MAX:
                self._sleep()
                self._idle = 0
        elif (now - self._since) * 1000 >= self.deadline_ms(transition):
            self._strike(serial)

    def _look(self) -> tuple[int, int]:
        with self._reading:
            if self._starting:  # also between two stores
                return self._starting, 0
            if self._kernel is None:
                return 0, 0
            return self._kernel.running.value, self._kernel.transition.value

    def _strike(self, serial: int) -> None:
        with self._reading:
            if self._engine is not None:
                self._victim = serial
                self._engine.increment_epoch()

    def _sleep(self) -> None:
        _patrol.remove(self)
        self.asleep = True
        # Whoever becomes busy from here on finds it asleep, and adds it again.
        if self.busy or self._starting:
            self._rouse()


class _Patrol:
    """The one thread of the process that looks at the watchdogs that are awake.

    Started with the first: to start one for each database would take longer than to open it. To
    wake it costs whoever does up to a millisecond, for both want the GIL then; so it is woken only
    when it would look too late by itself, and goes on for a while when there is nobody to look at.
    """

    def __init__(self) -> None:
        self._awake: set[Watchdog] = set()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pause_s: float | None = None  # it looks again after so long; None: it must be woken

    def add(self, watchdog: Watchdog) -> None:
        """From now on it is looked at. It may be there already."""
        self._awake.add(watchdog)  # first, and then ask when the thread looks
        pause_s = self._pause_s
        if pause_s is not None and pause_s <= watchdog.interval_s():
            return
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    thread = threading.Thread(
                        target=self._walk, name="reifydb-deadlines", daemon=True
                    )
                    thread.start()
                    self._thread = thread
        self._wake.set()

    def remove(self, watchdog: Watchdog) -> None:
        """It is not looked at any more."""
        self._awake.discard(watchdog)

    def _walk(self) -> None:
        last_s, idle = INTERVAL_S_MAX, 0
        while True:
            self._pause_s = None  # before looking who is there: whoever comes now wakes us
            self._wake.clear()
            awake = list(self._awake)
            if awake:
                last_s, idle = min(one.interval_s() for one in awake), 0
            else:
                idle += 1
            pause_s = last_s if idle <= IDLE_LOOKS_MAX else None
            self._pause_s = pause_s
            self._wake.wait(pause_s)
            for watchdog in list(self._awake):
                watchdog.look()


_patrol = _Patrol()


def _forked() -> None:
    """In the child there is no thread, and what it held is held for ever."""
    global _patrol
    _patrol = _Patrol()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)
