"""The leaderboard: its views beside boards in plain Python, and what a subscriber sees of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import reifydb
from sdk.build import build_guest
from tests.guests.databases import no_trace, open_with

FOLDER = Path(__file__).resolve().parents[3] / "examples/wasm/leaderboard"
GAMES = ("chess", "go", "draughts")
PLAYERS = ("ada", "bob", "cleo", "dan", "eve", "fay")


@pytest.fixture
def db() -> Iterator[reifydb.Database]:
    with open_with(build_guest(FOLDER / "leaderboard.zig").read_bytes()) as opened:
        opened.execute((FOLDER / "views.sql").read_text())
        yield opened
        opened.verify()


def board(db: reifydb.Database, name: str) -> list[tuple[object, ...]]:
    found = db.query(f"select player, points from {name} order by points desc, player")
    return list(found.tuples)


def test_the_best_result_counts(db: reifydb.Database) -> None:
    assert db.call("leaderboard.report", "chess", "ada", 10) == 10
    assert db.call("leaderboard.report", "chess", "bob", 12) == 12
    assert db.call("leaderboard.report", "chess", "ada", 7) == 10
    assert board(db, "chess_board") == [("bob", 12), ("ada", 10)]
    assert db.get("game", "chess") == {"game": "chess", "players": 2, "plays": 3, "best": 12}
    db.call("leaderboard.withdraw", "chess", "bob")
    assert board(db, "chess_board") == [("ada", 10)]
    assert db.get("game", "chess") == {"game": "chess", "players": 1, "plays": 2, "best": 10}


def test_what_it_refuses(db: reifydb.Database) -> None:
    for name, arguments, code in (
        ("report", ("chess", "ada", -1), 1),
        ("withdraw", ("chess", "ada"), 2),
    ):
        with no_trace(db), pytest.raises(reifydb.AbortedError) as refused:
            db.call(f"leaderboard.{name}", *arguments)
        assert refused.value.abort_code == code


def test_a_subscriber_sees_who_enters_and_who_leaves(db: reifydb.Database) -> None:
    for player, points in (("ada", 3), ("bob", 2), ("cleo", 1)):
        db.call("leaderboard.report", "go", player, points)
    with db.subscribe("go_board") as changes:
        following = iter(changes)
        snapshot = next(following)
        assert isinstance(snapshot, reifydb.Snapshot)
        assert [row["player"] for row in snapshot.rows] == ["ada", "bob", "cleo"]
        db.call("leaderboard.report", "go", "dan", 0)  # not among the first
        db.call("leaderboard.report", "go", "dan", 9)
        change = next(following)
        assert isinstance(change, reifydb.Delta)
        said = {(one.op, None if one.row is None else one.row["player"]) for one in change.changes}
        assert said == {("delete", None), ("insert", "dan")}


@pytest.mark.parametrize("seed", range(3))
def test_boards_are_those_of_plain_python(db: reifydb.Database, seed: int) -> None:
    rng = random.Random(seed)
    scores: dict[tuple[str, str], tuple[int, int]] = {}
    for _ in range(400):
        game, player = rng.choice(GAMES), rng.choice(PLAYERS)
        if rng.random() < 0.15:
            if (game, player) in scores:
                del scores[game, player]
                db.call("leaderboard.withdraw", game, player)
        else:
            points = rng.randrange(20)
            best, plays = scores.get((game, player), (0, 0))
            scores[game, player] = max(best, points), plays + 1
            assert db.call("leaderboard.report", game, player, points) == max(best, points)
        for name, of in (("chess_board", "chess"), ("go_board", "go")):
            ranked = sorted((-points, p) for (g, p), (points, _) in scores.items() if g == of)
            assert board(db, name) == [(p, -points) for points, p in ranked[:3]]
        expected = {}
        for (game, _), (points, plays) in scores.items():
            players, all_plays, best = expected.get(game, (0, 0, 0))
            expected[game] = players + 1, all_plays + plays, max(best, points)
        found = {row["game"]: tuple(row.values())[1:] for row in db.scan("game")}
        assert found == expected
        games: dict[str, list[int]] = {}
        for (_, player), (points, _) in scores.items():
            games.setdefault(player, []).append(points)
        assert {row["player"]: (row["games"], row["points"]) for row in db.scan("all_rounder")} == {
            player: (len(all_), sum(all_)) for player, all_ in games.items() if len(all_) > 1
        }
