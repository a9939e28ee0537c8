"""What was once wrong on the WebSocket."""

from __future__ import annotations

import json

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
