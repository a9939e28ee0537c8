"""Which form a body and an answer have."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from reifydb.errors import RequestError
from reifydb.gateway.http.forms import JSON, MSGPACK, form_of_answer, form_of_body

M, J = "application/msgpack", "application/json"


@pytest.mark.parametrize(
    ("content_type", "accept", "body", "answer"),
    [
        (None, None, JSON, JSON),
        (J, None, JSON, JSON),
        (f"{J}; charset=utf-8", "*/*", JSON, JSON),
        ("application/x-www-form-urlencoded", "*/*", JSON, JSON),
        (M, None, MSGPACK, MSGPACK),
        ("Application/X-MsgPack; x=y", "*/*", MSGPACK, MSGPACK),
        (M, J, MSGPACK, JSON),
        (None, M, JSON, MSGPACK),
        (None, f"{M}, {J};q=0.5", JSON, MSGPACK),
        (None, f"text/html, {J}, {M}", JSON, JSON),
        (M, "text/html, */*;q=0.1", MSGPACK, MSGPACK),
        (None, "text/html", JSON, JSON),
        (None, "", JSON, JSON),
    ],
)
def test_the_form_is_chosen_by_headers(
    content_type: str | None, accept: str | None, body: object, answer: object
) -> None:
    given = {"Content-Type": content_type, "Accept": accept}
    headers = {name: value for name, value in given.items() if value is not None}
    request = make_mocked_request("POST", "/", headers=headers)
    assert form_of_body(request) is body
    assert form_of_answer(request) is answer


def test_a_problem_may_quote_what_is_no_text() -> None:
    for form in (JSON, MSGPACK):
        assert form.write_problem({"detail": "\ud800"})


@pytest.mark.parametrize("text", [r'"\ud800"', r'{"a": ["x\uDFFF"]}', r'{"\udc00": 1}'])
def test_half_a_surrogate_pair_is_no_json(text: str) -> None:
    """It could be read, but an answer that quotes it could not be sent."""
    with pytest.raises(RequestError, match="surrogate"):
        JSON.read(text.encode())


def test_whole_surrogate_pairs_and_what_looks_like_one_are_json() -> None:
    assert JSON.read(rb'"\ud83d\ude00 \\ud800"') == "😀 \\ud800"
