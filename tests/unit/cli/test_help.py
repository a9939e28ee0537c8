"""Help: at once, of every command, and what it says of one is what the command says itself."""

import resource
import subprocess
import sys
from importlib import import_module

import click
import pytest

from reifydb.cli.main import COMMANDS, command, main

CPU_S_MAX = 0.15


def found(name: str) -> click.Command:
    module, _, attribute = COMMANDS[name][0].partition(":")
    made = getattr(import_module(f"reifydb.cli.{module}"), attribute)
    assert isinstance(made, click.Command)
    return made


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_it_says_itself(name: str) -> None:
    said = COMMANDS[name][1]
    assert said.endswith(".")
    assert (found(name).help or "").split()[0] == said.split()[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: reifydb {name}")


def test_every_command_answers_in_json() -> None:
    """But for those that are groups, and `generate`, which makes source text."""
    without = [
        name
        for name in COMMANDS
        if not isinstance(found(name), click.Group)
        and not any("--json" in param.opts for param in found(name).params)
    ]
    assert without == []


@pytest.mark.parametrize("arguments", [[], ["token"], ["generate"]])
def test_no_command_is_wrong_usage_and_helps_once(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("Usage:") == 1
    assert "Commands:" in err


def test_an_unknown_command_is_told_from_a_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["srve"]) == 2
    usage, error = capsys.readouterr().err.splitlines()
    assert usage.startswith("Usage: reifydb ")
    assert error == "error: there is no command 'srve' (did you mean 'serve'?)"
    assert main(["token", "mke"]) == 2
    assert "did you mean 'make'?" in capsys.readouterr().err


def test_help_takes_little_cpu() -> None:
    """The best of five: others may be at work on the machine."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "reifydb", "--help"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) <= CPU_S_MAX


@pytest.mark.parametrize("arguments", [["--help"], ["call", "--help"], ["serve", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    heavy = {"wasmtime", "sqlglot", "aiohttp", "msgpack", "rich"}
    program = (
        f"import sys; from reifydb.cli.main import main; main({arguments!r});"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_root_lists_its_commands_in_order() -> None:
    assert command.list_commands(click.Context(command)) == list(COMMANDS)
