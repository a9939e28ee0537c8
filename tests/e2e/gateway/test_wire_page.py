"""docs/wire.md keeps its word: its conversation is held with a real server."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

from reifydb.gateway.session import SHAPES
from tests.e2e.gateway.http_client import bank
from tests.e2e.gateway.test_http_page import agrees
from tests.e2e.gateway.ws_client import connected

PAGE = Path(__file__).resolve().parents[3] / "docs" / "wire.md"


def lines() -> list[tuple[str, Any]]:
    """Who speaks, and what is said, of each line of the conversation."""
    blocks = re.findall(r"^```wire\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    said = [re.split(r"^(?=[→←$])", block, flags=re.MULTILINE)[1:] for block in blocks]
    return [
        (text[0], text[1:] if text[0] == "$" else json.loads(text[1:]))
        for text in itertools.chain(*said)
    ]


async def test_the_conversation_on_the_page_takes_place() -> None:
    said = lines()
    assert len(said) > 40
    async with bank() as client, connected(client, greeted=False) as socket:
        for who, content in said:
            if who == "→":
                await socket.send(content)
                continue
            if who == "$":
                client.db.execute(content)
                continue
            for message in content if isinstance(content[0], list) else [content]:
                answer = await socket.next()
                assert agrees(answer, message), (answer, message)


def test_the_page_names_every_message() -> None:
    text = PAGE.read_text("utf-8")
    for kind in SHAPES:
        assert f'`["{kind}", id' in text, kind
