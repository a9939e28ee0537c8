"""What was once wrong on the WebSocket."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.gateway.http_client import bank


async def test_a_subscription_is_answered_before_its_stream() -> None:
    async with bank() as client:
        url = f"{client.url}/v1/ws"
        async with client.session.ws_connect(url, protocols=["reifydb.v1.json"]) as socket:
            await socket.receive()
            await socket.send_str(json.dumps(["subscribe", 2, "account"]))
            kinds: list[str] = []
            while "ready" not in kinds:
                frame = json.loads((await socket.receive()).data)
                kinds += [m[0] for m in (frame if isinstance(frame[0], list) else [frame])]
            assert kinds == ["ok", "page", "ready"]


async def test_half_a_surrogate_pair_ends_its_connection_and_no_other() -> None:
    async with bank() as client:
        url = f"{client.url}/v1/ws"
        async with (
            client.session.ws_connect(url, protocols=["reifydb.v1.json"]) as bad,
            client.session.ws_connect(url, protocols=["reifydb.v1.json"]) as good,
        ):
            for socket in (bad, good):
                await socket.receive()
            await bad.send_str('["call", 1, "\\ud800", []]')
            await good.send_str('["call", 1, "bank.total", []]')
            assert json.loads((await good.receive()).data)[:3] == ["ok", 1, 100]
            assert json.loads((await bad.receive()).data)[2]["code"] == "bad_request"
            await bad.receive()
            assert bad.close_code == 1002


async def test_a_page_ends_before_its_answer_is_too_long() -> None:
    async with bank() as client:
        client.db.execute("create table note (id int primary key, body text not null)")
        with client.db.transaction() as tx:
            for id_ in range(5):
                tx.insert("note", {"id": id_, "body": "x" * 2**20})
        url = f"{client.url}/v1/ws"
        async with client.session.ws_connect(
            url, protocols=["reifydb.v1.json"], max_msg_size=0
        ) as socket:
            await socket.receive()
            await socket.send_str('["scan", 1, "note", {}]')
            page = json.loads((await socket.receive()).data)[2]
            assert [row[0] for row in page["rows"]] == [0, 1, 2, 3]
            await socket.send_str(json.dumps(["scan", 2, "note", {"cursor": page["next"]}]))
            page = json.loads((await socket.receive()).data)[2]
            assert ([row[0] for row in page["rows"]], page["next"]) == ([4], None)


async def test_a_fault_of_the_server_answers_who_asked_and_leaves_the_others() -> None:
    async with bank() as client:
        service = client.server.service
        arguments = service.shapes.arguments

        def faulty(handle: Any, dialect: Any, args: Any) -> bytes:
            if args == ["fault"]:
                raise ZeroDivisionError
            return arguments(handle, dialect, args)

        service.shapes.arguments = faulty  # type: ignore[method-assign]
        async with client.session.ws_connect(
            f"{client.url}/v1/ws", protocols=["reifydb.v1.json"]
        ) as socket:
            await socket.receive()
            await socket.send_str(
                '[["call", 1, "bank.total", ["fault"]], ["call", 2, "bank.total", []]]'
            )
            answers: dict[int, list[Any]] = {}
            while len(answers) < 2:
                frame = json.loads((await socket.receive()).data)
                for message in frame if isinstance(frame[0], list) else [frame]:
                    answers[message[1]] = message
            assert answers[1][2]["detail"] == "an internal error; the server's log has it"
            assert answers[2][:3] == ["ok", 2, 100]
