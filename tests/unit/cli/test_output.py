"""What commands print for people."""

import sys

import pytest

from reifydb.cli.output import print_facts, print_table, printable, shown


def test_nothing_of_a_row_reaches_the_terminal_as_a_command() -> None:
    assert printable("a\x1b[31mb\nc\u202e\x9b") == "a\\x1b[31mb\\nc\\u202e\\x9b"
    assert printable("grüße, 漢字") == "grüße, 漢字"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "true"), (5, "5"), ("a\tb", "a\\tb"), ([1, "x"], '[1, "x"]'), (0.5, "0.5")],
)
def test_values_are_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_tables_are_plain_and_uncut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id", "name"], [[1, "x" * 100], [20, None]], right="rl")
    assert capsys.readouterr().out.splitlines() == ["id  name", " 1  " + "x" * 100, "20"]
    print_facts({"id": 1, "balance": 90})
    assert capsys.readouterr().out.splitlines() == ["id       1", "balance  90"]


def test_a_terminal_gets_a_drawn_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    print_table(["id", "[red]name"], [[1, "[bold]x"]], right="rl")
    out = capsys.readouterr().out
    assert "[red]name" in out
    assert "[bold]x" in out
    assert "─" in out
    assert "\x1b[3" not in out
