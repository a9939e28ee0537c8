"""docs/http.md keeps its word: its conversation is held with a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import reifydb
from reifydb.gateway.http.routes import ROUTES
from tests.e2e.gateway.http_client import bank_wasm, served

PAGE = Path(__file__).resolve().parents[3] / "docs" / "http.md"
ANY = "…"


def blocks() -> list[tuple[str, dict[str, str], str]]:
    """First line, headers and body of each block."""
    found = []
    for text in re.findall(
        r"^```http\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        head, _, body = text.partition("\n\n")
        first, *lines = head.strip().splitlines()
        headers = dict(line.split(": ", 1) for line in lines)
        found.append((first, headers, body.strip()))
    return found


def agrees(said: Any, expected: Any) -> bool:
    if expected == ANY:
        return True
    if isinstance(expected, dict):
        more = expected.get(ANY) == ANY
        keys = expected.keys() - {ANY}
        return (
            isinstance(said, dict)
            and (said.keys() >= keys if more else said.keys() == keys)
            and all(agrees(said[key], expected[key]) for key in keys)
        )
    if isinstance(expected, list):
        more = expected[-1:] == [ANY]
        listed = expected[:-1] if more else expected
        return (
            isinstance(said, list)
            and (more or len(said) == len(listed))
            and len(said) >= len(listed)
            and all(agrees(*pair) for pair in zip(said, listed, strict=False))
        )
    return bool(said == expected)


async def test_the_conversation_on_the_page_takes_place(tmp_path: Path) -> None:
    found = blocks()
    requests, answers = found[::2], found[1::2]
    assert len(requests) == len(answers) > 20
    with reifydb.open(tmp_path / "page", options=reifydb.Options(reserve_bytes=4096)) as db:
        async with served(db) as client:
            for (line, headers, body), (status, expected, content) in zip(
                requests, answers, strict=True
            ):
                method, path, _ = line.split()
                data = bank_wasm() if body == "@bank.wasm" else body.encode()
                answer = await client.ask(method, path, headers=headers, data=data or None)
                assert f"{answer.status}" == status.split()[1], (line, answer)
                for name, value in expected.items():
                    pattern = re.escape(value).replace(re.escape(ANY), ".*")
                    assert re.fullmatch(pattern, answer.headers[name]), (line, name, answer)
                if content:
                    assert agrees(answer.content, json.loads(content)), (line, answer.body)
                else:
                    assert answer.body == b""


def test_the_page_names_every_route() -> None:
    text = PAGE.read_text("utf-8")
    for route in ROUTES:
        path = route.path.replace("{key:.*}", "{key}")  # type: ignore[attr-defined]
        path = path.replace("{module}", "{name}").replace("{token}", "{name}")
        assert path in text, path
