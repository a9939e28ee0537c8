"""What is installed: modules, and every transition by its name.

One step between two batches: the functions of modules.py do the work, this is what they leave.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from reifydb.config import ModuleLimits, Options
from reifydb.database.modules import (
    Installed,
    Module,
    apply_schema,
    bindings_from_json,
    define_transition,
    forget,
    limits_from_json,
    link,
    problems_of,
    resolve,
    write_module,
)
from reifydb.database.primitives import NativeTransition, native_transitions
from reifydb.database.schema import Bound
from reifydb.database.state import Row, State
from reifydb.database.tables import MODULES
from reifydb.database.transition_numbers import all_numbers, number_transitions
from reifydb.database.transitions import PythonTransition, WasmTransition
from reifydb.engine.deadlines import Watchdog
from reifydb.engine.executor import Executor
from reifydb.errors import (
    ModuleError,
    RequestError,
    SchemaError,
    UnavailableError,
    UnknownNameError,
)
from reifydb.sandbox.guest import REPLACEMENTS_MAX
from reifydb.sandbox.replies import CompiledGuest
from reifydb.sandbox.workshop import Workshop

_LOG = logging.getLogger("reifydb")

INSTANCES_PER_MODULE = 3
"""Trampoline, guest, bridge."""

INSTANCES_MAX = INSTANCES_PER_MODULE * REPLACEMENTS_MAX
"""So many dead instances in one store, and the kernel moves to a fresh one."""


class Registry:
    """The modules of one database. Everything in a turn.

    Attributes:
        installed: By name.
        primitives: The operations of each primitive, by its name.
        transitions: By full name, those of Python functions included; `numbered`: those of modules
            by number.
    """

    def __init__(
        self,
        workshop: Workshop,
        state: State,
        executor: Executor,
        watchdog: Watchdog,
        options: Options,
    ) -> None:
        self.workshop, self.state, self.watchdog = workshop, state, watchdog
        self.kernel, self._executor, self.options = state.kernel, executor, options
        self.installed: dict[str, Installed] = {}
        self.transitions: dict[str, WasmTransition | PythonTransition] = {}
        self.numbered: dict[int, WasmTransition] = {}
        self.primitives: dict[str, tuple[NativeTransition, ...]] = {}
        self._broken: dict[str, str] = {}  # modules that could not be started, and why

    def reinstall(self, row: Row) -> None:
        """Links a module at opening. One that fails now does not keep the data from being opened:
        its transitions say why when they are called, until it is installed again.
        """
        wasm, name = row["wasm"], str(row["name"])
        assert isinstance(wasm, bytes)
        try:
            limits = limits_from_json(str(row["limits"]))
            compiled = self.workshop.compiled(wasm, limits, name)
            numbers = all_numbers(self.state).get(name, {})
            kept = row["bindings"]
            if kept is None:  # by a version that did not keep them, nor let columns change
                bound = resolve(compiled.manifest, self.state.catalog)
            else:
                bound = bindings_from_json(str(kept))
            self._adopt(link(self, compiled, limits, numbers, bound), None)
        except (ModuleError, RequestError, UnavailableError) as error:
            self._broken[name] = str(error)
            _LOG.error("module %s could not be started: %s", name, error)

    def install(
        self, compiled: CompiledGuest, wasm: bytes, limits: ModuleLimits, *, with_schema: bool
    ) -> Module:
        """Installs a compiled module, or replaces the one of its name; inside the open transaction.

        Raises:
            ModuleError: It is refused; everything is as it was.
        """
        old = self.installed.get(compiled.name)
        catalog = self.state.catalog
        try:
            installed = self._check_and_link(compiled, wasm, limits, with_schema=with_schema)
        except BaseException:
            self.state.catalog = catalog
            self.follow_schema()
            if old is not None:
                self._restore(old)
            raise
        self._adopt(installed, old)
        return installed.module

    def remove(self, module: str) -> None:
        """Removes a module; inside the open transaction.

        Raises:
            UnknownNameError: It is not installed.
        """
        installed = self.installed.get(module)
        if installed is None:
            raise UnknownNameError("module", module, self.installed)
        self.state.delete_system(MODULES, module)
        forget(self, installed)
        for handle in installed.handles:
            handle.retire(None)
            del self.transitions[handle.name]
            self.numbered.pop(handle.number, None)
            self._executor.guests.pop(handle.number, None)
        del self.installed[module]
        self._watch_deadlines()

    def _check_and_link(
        self, compiled: CompiledGuest, wasm: bytes, limits: ModuleLimits, *, with_schema: bool
    ) -> Installed:
        manifest = compiled.manifest
        if with_schema:
            apply_schema(manifest, self.state)
            self.follow_schema()
        problems = problems_of(manifest, self.state.catalog)
        if compiled.name in self.primitives:
            word = self.state.catalog.get(compiled.name).table.word
            problems.append(f"there is a {word} of its name, whose operations are called alike")
        problems += [
            f"its transition {compiled.name}.{t.name} has the name of a Python transition"
            for t in manifest.transitions
            if isinstance(self.transitions.get(f"{compiled.name}.{t.name}"), PythonTransition)
        ]
        if problems:
            raise ModuleError(f"module {compiled.name} does not fit this database", problems)
        names = [transition.name for transition in manifest.transitions]
        numbers = number_transitions(self.state, compiled.name, names)
        bound = resolve(manifest, self.state.catalog)
        write_module(self, compiled, wasm, limits, bound)
        return link(self, compiled, limits, numbers, bound)

    def follow_schema(self) -> None:
        """Makes the operations of the primitives that the catalog has callable, and those of others
        not. In a turn, after each change of the schema that was made or undone.

        Raises:
            SchemaError: A primitive has the name of a module.
        """
        tables = {h.name: h.table for h in self.state.catalog.handles.values() if h.table.primitive}
        for name, handles in list(self.primitives.items()):
            table = tables.get(name)
            if table is None or table != handles[0].table:
                for handle in handles:
                    handle.retire(None)
                    del self.transitions[handle.name], self.numbered[handle.number]
                    self.kernel.call["define_transition"](handle.number, 0)
                del self.primitives[name]
        new = {name: table for name, table in tables.items() if name not in self.primitives}
        numbers = all_numbers(self.state) if new else {}
        for name, table in new.items():
            if name in self.installed:
                message = f"{table.word} {name} cannot have the name of a module"
                raise SchemaError(message, hint="their transitions would be called alike")
            handles = native_transitions(self.state, table, numbers[name])
            for handle in handles:
                self.transitions[handle.name] = self.numbered[handle.number] = handle
            self.primitives[name] = handles

    def bound(self) -> Iterable[Bound]:
        """What the installed modules bind of the tables."""
        return [use for installed in self.installed.values() for use in installed.uses()]

    def _adopt(self, installed: Installed, old: Installed | None) -> None:
        """Makes a linked module the one that is called."""
        if old is not None:
            forget(self, old, keep=[h.number for h in installed.handles])
            for handle in old.handles:
                self.transitions.pop(handle.name, None)
                self.numbered.pop(handle.number, None)
                handle.retire(installed.module.transitions.get(handle.transition.name))
                self._executor.guests.pop(handle.number, None)
        self.installed[installed.module.name] = installed
        self._broken.pop(installed.module.name, None)
        for handle in installed.handles:
            self.transitions[handle.name] = self.numbered[handle.number] = handle
            self._executor.guests[handle.number] = installed.guest
        self._watch_deadlines()

    def _restore(self, old: Installed) -> None:
        """After a failed installation: the kernel knows and runs again what it did before."""
        for transition in old.module.transitions.values():
            define_transition(self, transition, old.module.limits)
        old.guest.link(self.kernel)

    def _watch_deadlines(self) -> None:
        self.watchdog.by_transition = {
            handle.number: handle.deadline_ms
            for installed in self.installed.values()
            for handle in installed.handles
        }

    def renew_store(self) -> None:
        """Moves to a fresh store when enough dead instances lie in this one."""
        replaced = sum(i.guest.replacements for i in self.installed.values())
        dead = self.kernel.store.instances - INSTANCES_PER_MODULE * len(self.installed)
        if replaced >= REPLACEMENTS_MAX or dead >= INSTANCES_MAX:
            self.move()

    def move(self) -> None:
        """Moves the kernel to a fresh store, between two batches.

        Raises:
            KernelError: The system refused; the engine has stopped.
        """
        self.watchdog.detach()
        try:
            self.kernel.move()
        except BaseException as error:
            self._executor.failed = f"the kernel could not move to a fresh store: {error}"
            raise
        self._executor.bind()
        self.watchdog.attach(self.kernel)
        for installed in self.installed.values():
            installed.guest.replacements = 0

    def find(self, name: str) -> WasmTransition | PythonTransition:
        """The transition of this name.

        Raises:
            UnknownNameError: There is none.
            ModuleError: Its module could not be started when the database was opened.
        """
        try:
            return self.transitions[name]
        except (KeyError, TypeError):
            module = str(name).partition(".")[0]
            if module in self._broken:
                raise ModuleError(self._broken[module], hint="install it again") from None
            raise UnknownNameError("transition", str(name), self.transitions) from None

    def find_wasm(self, name: str) -> WasmTransition:
        """The same, but not a Python transition.

        Raises:
            RequestError: It is one.
        """
        handle = self.find(name)
        if isinstance(handle, PythonTransition):
            raise RequestError(
                f"{name} is a Python transition; batches run transitions of modules only"
            )
        return handle
