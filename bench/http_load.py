"""A load of HTTP requests, all the same and made beforehand, over plain sockets: each connection
has one on its way.

`python -m bench.http_load PORT TARGET BODY CONNECTIONS REQUESTS` prints how long it took and what
it cost here, in JSON.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from time import perf_counter, process_time

END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"


class AnswerError(Exception):
    """Something else than 200 was answered."""


def request_of(target: str, body: str) -> bytes:
    """A request as its bytes."""
    return (
        f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def is_whole(answer: bytes) -> bool:
    """Whether all of an answer is there.

    Raises:
        AnswerError: It is not 200.
    """
    if not answer.startswith(b"HTTP/1.1 200 "[: len(answer)]):
        raise AnswerError(answer.decode())
    end = answer.find(END)
    if end < 0:
        return False
    head = answer[:end].lower()
    at = head.index(LENGTH) + len(LENGTH)
    return len(answer) >= end + len(END) + int(head[at:].partition(b"\r\n")[0])


def load(port: int, request: bytes, connections: int, requests: int) -> dict[str, float]:
    """Sends so many requests over so many connections."""
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ, [sock, b""])
    opened = [key.data for key in selector.get_map().values()]
    cpu_s, start_s = process_time(), perf_counter()
    for sock, _ in opened[:requests]:
        sock.sendall(request)
    to_send = requests - min(connections, requests)
    answered = 0
    while answered < requests:
        for key, _ in selector.select():
            one = key.data
            sock = one[0]
            got = sock.recv(65536)
            if not got:
                raise AnswerError("the connection was closed")
            one[1] += got
            if not is_whole(one[1]):
                continue
            one[1] = b""
            answered += 1
            if to_send:
                to_send -= 1
                sock.sendall(request)
    found = {"wall_s": perf_counter() - start_s, "cpu_s": process_time() - cpu_s}
    for sock, _ in opened:
        sock.close()
    selector.close()
    return found


if __name__ == "__main__":
    port, target, body, connections, requests = sys.argv[1:]
    request = request_of(target, body)
    print(json.dumps(load(int(port), request, int(connections), int(requests))))
