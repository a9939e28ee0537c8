"""Every hostile module of the corpus: nothing comes of it, and the database goes on."""

from __future__ import annotations

import os
import signal

import pytest

from reifydb.sandbox.host_functions import SIGNATURES
from tests.hostile.corpus import CORPUS
from tests.hostile.host_calls import PARAMS, honest, spans
from tests.hostile.trial import EACH
from tests.hostile.worker import TrialError, Worker


@pytest.mark.parametrize("does", CORPUS)
def test_a_hostile_module_comes_to_nothing(worker: Worker, does: str) -> None:
    worker.run("tests.hostile.trial:try_named", does)


@pytest.mark.parametrize("trial", EACH)
@pytest.mark.parametrize("name", SIGNATURES)
def test_a_host_function_withstands(worker: Worker, trial: str, name: str) -> None:
    worker.run("tests.hostile.trial:try_each", trial, name)


def test_nested_json_is_written_with_enough_stack_or_not_at_all(worker: Worker) -> None:
    worker.run("tests.hostile.trial:try_json_dive")


# ------------------------------------------------------------------ the corpus itself


def test_the_corpus_is_large_enough() -> None:
    assert len(CORPUS) >= 40


def test_every_host_function_is_attacked_where_it_takes_pointers() -> None:
    assert set(PARAMS) == set(SIGNATURES)
    for name, signature in SIGNATURES.items():
        assert len(honest(name)) == len(PARAMS[name]) == len(signature.params)
        pointers = {"ptr", "key", "keys", "rows", "row", "bounds"}
        found = {PARAMS[name][span.pointer] for span in spans(name)}
        assert found == pointers & set(PARAMS[name]), name


def test_a_trial_that_kills_its_process_fails_alone() -> None:
    worker = Worker()
    try:
        with pytest.raises(TrialError, match=r"died \(SIGKILL\)"):
            worker.run("os:kill", worker.run("os:getpid"), int(signal.SIGKILL))
        with pytest.raises(TrialError, match="AssertionError"):
            worker.run("tests.hostile.trial:try_named", "nothing of this name")
        assert worker.run("os:getpid") != os.getpid()
    finally:
        worker.close()
