"""Commands on a folder: what they print, their errors and exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import reifydb
from reifydb.cli.main import main
from reifydb.sandbox.binary import MANIFEST_SECTION, custom_section, set_custom_section
from sdk.build import build_guest

BANK = Path(__file__).parents[3] / "examples/wasm/bank/bank.zig"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A bank with ada, who has 100, and bob, who has nothing."""
    folder = tmp_path / "bank.reify"
    with reifydb.open(folder, options=reifydb.Options(reserve_bytes=0)) as db:
        db.install(build_guest(BANK), apply_schema=True)
        db.call("bank.open", 1, "ada", 100)
        db.call("bank.open", 2, "bob", 0)
    return folder


def problem(err: str) -> Any:
    [line] = err.splitlines()
    return json.loads(line)


# ---------------------------------------------------------------- call


def test_a_call_prints_its_result_and_is_kept(run: Run, bank: Path) -> None:
    assert run("call", bank, "bank.transfer", 1, 2, 10) == (0, "90\n", "")
    assert run("call", bank, "bank.balance", 2) == (0, "10\n", "")
    code, out, _ = run("call", bank, "bank.balance", "--args", '{"id": 2}', "--json")
    assert (code, json.loads(out)["value"]) == (0, 10)
    assert run("call", bank, "bank.open", 3, "eve", 0) == (0, "", "")


def test_what_a_transition_refuses_exits_with_4(run: Run, bank: Path) -> None:
    said = "bank.transfer aborted with code 4: insufficient_funds"
    assert run("call", bank, "bank.transfer", 1, 2, 1000) == (4, "", f"error: {said}\n")
    code, out, err = run("call", bank, "bank.transfer", 1, 2, 1000, "--json")
    assert (code, out) == (4, "")
    assert problem(err).items() >= {"code": "aborted", "abort_code": 4, "detail": said}.items()


def test_numbers_may_be_negative(run: Run, bank: Path) -> None:
    assert run("call", bank, "bank.deposit", 1, -5)[0] == 4
    assert run("scan", bank, "account", "--lower", -5, "--limit", 1, "--json")[0] == 0
    assert run("call", bank, "bank.deposit", 1, "-x")[0] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bank.transfer", 1, 2, "ten"], "amount: expected int, got 'ten'"),
        (["bank.transfer", 1, 2], "takes 3 values, not 2"),
        (["bank.transfer", 1, 2, 3, 4], "takes 3 values, not 4"),
        (["bank.transfer", "--args", "{"], "'--args' is not JSON"),
        (["bank.transfer", "--args", "5"], "'--args' is an object by name, or an array"),
        (["bank.transfer", 1, "--args", "[]"], "Arguments are given as words and in '--args'"),
        ([], "Missing argument 'TRANSITION'"),
    ],
)
def test_wrong_arguments_exit_with_2(run: Run, bank: Path, words: list[Any], said: str) -> None:
    code, out, err = run("call", bank, *words)
    assert (code, out) == (2, "")
    assert err.count("Usage:") == 1
    assert said in err.splitlines()[-1]


def test_an_unknown_transition_is_told_from_a_near_one(run: Run, bank: Path) -> None:
    hint = "error: there is no transition 'bank.transfr' (did you mean 'bank.transfer'?)\n"
    assert run("call", bank, "bank.transfr", 1) == (1, "", hint)


# ---------------------------------------------------------------- rows


def test_get_prints_a_row_or_exits_with_1(run: Run, bank: Path) -> None:
    code, out, _ = run("get", bank, "account", 1)
    assert (code, out.splitlines()) == (0, ["id       1", "owner    ada", "balance  100"])
    code, out, _ = run("get", bank, "account", 1, "--json")
    assert (code, json.loads(out)) == (0, {"id": 1, "owner": "ada", "balance": 100})
    assert run("get", bank, "account", 9) == (1, "", "error: table account has no row 9\n")
    code, _, err = run("get", bank, "account", 9, "--json")
    assert (code, problem(err)["code"]) == (1, "not_found")
    assert run("get", bank, "acount", 9)[2].endswith("(did you mean 'account'?)\n")
    assert run("get", bank, "account", "x")[0] == 2


def test_scan_prints_a_table_or_a_line_of_json_for_each_row(run: Run, bank: Path) -> None:
    code, out, _ = run("scan", bank, "account")
    lines = ["id  owner  balance", " 1  ada        100", " 2  bob          0"]
    assert (code, out.splitlines()) == (0, lines)
    code, out, _ = run("scan", bank, "account", "--reverse", "--json")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [2, 1]
    for bounds, ids in [
        (["--lower", 2], [2]),
        (["--lower", 1, "--lower-exclusive"], [2]),
        (["--upper", 1], [1]),
        (["--upper", 2, "--upper-exclusive"], [1]),
        (["--limit", 1], [1]),
        (["--limit", 0], []),
    ]:
        out = run("scan", bank, "account", *bounds, "--json")[1]
        assert [json.loads(line)["id"] for line in out.splitlines()] == ids
    assert run("scan", bank, "account", "--index", "by_x")[0] == 1
    assert run("scan", bank, "account", "--limti", 5)[0] == 2


def test_people_are_told_when_there_are_more_rows(run: Run, bank: Path) -> None:
    with reifydb.open(bank) as db, db.transaction() as tx:
        for i in range(3, 110):
            tx.insert("account", {"id": i, "owner": "x", "balance": 0})
    code, out, err = run("scan", bank, "account")
    assert (code, len(out.splitlines()), err) == (0, 101, "… and more: --limit, by default 100\n")
    assert len(run("scan", bank, "account", "--json")[1].splitlines()) == 109


def test_keys_and_bounds_of_several_columns_are_several_words(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "db"
    with reifydb.open(folder) as db:
        db.execute(
            "create table seat (hall text, number int, at timestamp, price decimal(6,2),"
            " tags json, id uuid, photo bytes, primary key (hall, number));"
            "create index by_price on seat (price, at)"
        )
        with db.transaction() as tx:
            for number in range(3):
                price = Decimal(number) + Decimal("0.50")
                tx.insert("seat", {"hall": "a b", "number": number, "price": price})
    code, out, _ = run("get", folder, "seat", "a b", 2, "--json")
    assert (code, json.loads(out)["price"]) == (0, "2.50")
    bounds = ["--index", "by_price", "--lower", "1.5", "--lower", "null", "--json"]
    out = run("scan", folder, "seat", *bounds)[1]
    assert [json.loads(line)["number"] for line in out.splitlines()] == [1, 2]
    code, _, err = run("get", folder, "seat", "a b")
    assert code == 2
    assert "the key of seat (hall, number) takes 2 values, not 1" in err


# ---------------------------------------------------------------- schema and modules


def test_schema_is_printed_and_applied(
    run: Run, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "more.sql"
    file.write_text("create table note (id int primary key, said text default 'x')")
    assert run("schema", bank, "--apply", file) == (0, "", "")
    printed = run("schema", bank)[1]
    assert "create table account (" in printed
    assert "said text default 'x'" in printed
    other = tmp_path / "other"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(printed.encode())))
    assert run("schema", other, "--apply", "-")[0] == 0
    assert run("schema", other)[1] == printed
    file.write_text("create tabel x")
    code, _, err = run("schema", bank, "--apply", file)
    assert code == 1
    assert err.startswith("error: line 1, column 1: ")
    assert run("schema", bank, "--apply", tmp_path / "none.sql")[0] == 1


def test_rules_are_printed_applied_and_described(
    run: Run, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rules.sql"
    file.write_text("""
        create table note (id int primary key, account int references account on delete cascade,
            follows int, up int);
        create unique index by_next on note (follows);
        alter table note add foreign key (up) references note (follows);
        alter table account add constraint head foreign key (id) references account;
        create assertion nobody_rich as select id from account where balance > 1000000;
        create table late (id int primary key);
        alter table note add constraint later foreign key (follows) references late (id);
    """)
    assert run("schema", bank, "--apply", file) == (0, "", "")
    printed = run("schema", bank)[1]
    assert printed.endswith(
        "alter table note add constraint later foreign key (follows) references late (id);\n"
    )
    other = tmp_path / "other"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(printed.encode())))
    assert run("schema", other, "--apply", "-") == (0, "", "")
    again = run("schema", other)[1]
    assert sorted(again.splitlines()) == sorted(printed.splitlines())
    assert "an assertion of account: " in run("describe", bank, "nobody_rich")[1]
    assert (
        "foreign key note_account_fkey: (account) references account (id), on delete cascade\n"
        in run("describe", bank, "note")[1]
    )


def test_a_change_of_the_schema_is_planned(run: Run, bank: Path, tmp_path: Path) -> None:
    file = tmp_path / "more.sql"
    file.write_text("create view rich as select owner from account where balance > 1")
    before = run("schema", bank)
    code, out, err = run("schema", bank, "--apply", file, "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["create", "view", "rich", "2", "0"]
    found = json.loads(run("schema", bank, "--apply", file, "--dry-run", "--json")[1])
    assert found["fits"] is True
    file.write_text("drop table account; drop table nothing; create table x (id int primary key)")
    code, out, err = run("schema", bank, "--apply", file, "--dry-run")
    assert code == 1
    assert out.splitlines()[1].split() == ["create", "table", "x", "0", "0"]
    assert "\n- statement 1: table account cannot be dropped: module bank binds it\n" in err
    assert "\n- statement 2: there is no table 'nothing'" in err
    assert run("schema", bank) == before
    assert run("schema", bank, "--dry-run")[0] == 2
    assert run("schema", tmp_path / "none", "--apply", file, "--dry-run")[0] == 1
    assert not (tmp_path / "none").exists()


def test_describe(run: Run, bank: Path) -> None:
    line = "bank.transfer(source int, target int, amount int) -> int\n"
    assert run("describe", bank, "bank.transfer") == (0, line, "")
    assert run("describe", bank, "bank.total")[1] == "bank.total() -> int, a query\n"
    out = run("describe", bank, "account")[1]
    assert [line.split() for line in out.splitlines()][1] == ["id", "int", "primary", "key"]
    found = json.loads(run("describe", bank, "account", "--json")[1])
    assert found["key"] == ["id"]
    rows, taken = found["rows"], found["bytes"]
    said = f"{rows} rows, {taken['rows']} bytes; primary key, {taken['primary_key']} bytes"
    assert out.splitlines()[-1] == said
    assert run("describe", bank, "acount")[2].endswith("(did you mean 'account'?)\n")


def test_install_and_modules(run: Run, tmp_path: Path) -> None:
    wasm, folder = tmp_path / "bank.wasm", tmp_path / "db"
    wasm.write_bytes(build_guest(BANK).read_bytes())
    assert "there is no database" in run("install", folder, wasm)[2]
    assert not folder.exists()
    said = "installed bank: 7 transitions\n"
    assert run("install", folder, wasm, "--apply-schema") == (0, said, "")
    code, out, _ = run("install", folder, wasm, "--dry-run", "--name", "till", "--json")
    assert (code, json.loads(out)["fits"]) == (0, True)
    [module] = json.loads(run("modules", folder, "--json")[1])
    assert (module["name"], len(module["transitions"])) == ("bank", 7)
    assert run("modules", folder)[1].splitlines()[1].startswith("bank  ")
    with reifydb.open(tmp_path / "empty"):
        pass
    code, _, err = run("install", tmp_path / "empty", wasm, "--dry-run")
    assert (code, err.splitlines()[0]) == (1, "error: module bank would be refused:")


def test_pack_puts_a_manifest_in(run: Run, tmp_path: Path) -> None:
    whole = build_guest(BANK).read_bytes()
    manifest = custom_section(whole, MANIFEST_SECTION)
    assert manifest is not None
    bare, file, made = tmp_path / "bare.wasm", tmp_path / "m.json", tmp_path / "made.wasm"
    bare.write_bytes(set_custom_section(whole, MANIFEST_SECTION, b"{}"))
    file.write_bytes(manifest)
    assert run("pack", bare, "--manifest", file, "-o", made)[0] == 0
    assert run("install", tmp_path / "db", made, "--apply-schema")[0] == 0
    file.write_bytes(manifest.replace(b'"transfer"', b'"transfr"'))
    code, _, err = run("pack", bare, "--manifest", file, "-o", tmp_path / "x.wasm")
    assert code == 1
    assert "- it exports no function 'transfr' (did you mean 'transfer'?)" in err.splitlines()
    file.write_text("{]")
    assert run("pack", bare, "--manifest", file, "-o", tmp_path / "x.wasm")[0] == 1
    assert not (tmp_path / "x.wasm").exists()


# ---------------------------------------------------------------- whole databases


def test_verify_says_that_a_database_is_sound(run: Run, bank: Path) -> None:
    code, out, _ = run("verify", bank)
    assert (code, out.splitlines()[0]) == (0, f"{bank} is sound")
    found = json.loads(run("verify", bank, "--json")[1])
    assert (found["sound"], found["tables"], found["modules"]) == (True, {"account": 2}, ["bank"])


def test_verify_and_inspect_say_what_is_wrong(run: Run, bank: Path) -> None:
    segment = min((bank / "log").iterdir())
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    code, _, err = run("verify", bank)
    assert code == 1
    assert segment.name in err
    assert problem(run("verify", bank, "--json")[2])["code"] == "log_damaged"
    code, out, _ = run("inspect", bank, "--json")
    assert code == 1
    assert segment.name in json.loads(out)["damage"]
    assert run("inspect", bank)[0] == 1


def test_inspect_prints_what_is_there(run: Run, bank: Path) -> None:
    code, out, _ = run("inspect", bank)
    assert code == 0
    lines = (line.partition("  ") for line in out.split("\n\n")[0].splitlines())
    facts = {name: value.strip() for name, _, value in lines}
    assert facts["commits"] == "3, lsn 1 to 3"
    assert facts["in use"] == "no"
    assert json.loads(run("inspect", bank, "--json")[1])["last_lsn"] == 3


@pytest.mark.parametrize(
    "words", [["call", "x.y"], ["get", "t", "1"], ["scan", "t"], ["modules"], ["schema"]]
)
def test_a_folder_without_a_database_is_not_made_into_one(
    run: Run, tmp_path: Path, words: list[str]
) -> None:
    name, *rest = words
    code, _, err = run(name, tmp_path / "none", *rest)
    assert code == 1
    assert err.startswith(f"error: there is no database in {tmp_path / 'none'}")
    assert not (tmp_path / "none").exists()


def test_a_folder_in_use_exits_with_3(run: Run, bank: Path) -> None:
    with reifydb.open(bank):
        code, _, err = run("call", bank, "bank.total")
    assert code == 3
    assert err.startswith(f"error: {bank} is in use by process ")
    assert "--url" in err


def test_errors_are_one_line_whatever_they_quote(run: Run, bank: Path) -> None:
    code, _, err = run("call", bank, "no\nsuch\x1b[2J")
    assert (code, err.count("\n")) == (1, 1)
    assert "\x1b" not in err


def test_a_url_in_place_of_a_folder_is_understood(run: Run) -> None:
    said = run("get", "http://127.0.0.1:1", "account", 1)[2]
    assert said.endswith("is no folder (--url http://127.0.0.1:1)\n")


def test_a_server_that_is_not_there_exits_with_3(run: Run) -> None:
    code, _, err = run("call", "--url", "http://127.0.0.1:1", "bank.total")
    assert code == 3
    assert err.endswith(" cannot be reached: Connection refused (is it running? reifydb serve)\n")
    assert run("call", "--url", "ftp://x", "bank.total")[0] == 2


@pytest.mark.parametrize("words", [["watch", "t"], ["logs"]])
def test_what_only_a_server_has_is_asked_of_a_server(run: Run, words: list[str]) -> None:
    name, *rest = words
    code, _, err = run(name, "db", *rest)
    assert code == 2
    assert "'--url'" in err


# ---------------------------------------------------------------- queries and views


@pytest.fixture
def viewed(tmp_path: Path) -> Path:
    folder = tmp_path / "viewed.reify"
    with reifydb.open(folder, options=reifydb.Options(reserve_bytes=0)) as db:
        db.execute(
            "create table account (id int primary key, branch text,"
            " balance decimal(6,2) check (balance >= 0), open bool, rate float);"
            "create view total as select branch, count(distinct balance) as n from account"
            " group by branch;"
            "create view rich as select branch from account where balance > 10"
        )
        with db.transaction() as tx:
            row = {"branch": "north", "balance": Decimal("12.50"), "open": True, "rate": 0.5}
            tx.insert("account", {"id": 1} | row)
            tx.insert("account", {"id": 2, "open": False})
    return folder


def test_a_query_prints_a_table_or_rows(run: Run, viewed: Path) -> None:
    said = "id  branch  balance\n 1  north     12.50\n 2\n"
    sql = "select id, branch, balance from account order by id"
    assert run("query", viewed, sql) == (0, said, "")
    code, out, _ = run("query", viewed, sql, "--json")
    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {"id": 1, "branch": "north", "balance": "12.50"},
        {"id": 2, "branch": None, "balance": None},
    ]
    assert run("query", viewed, "select n from total where n > 7") == (0, "n\n", "")


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("id = :it", ["--param", "it=1"]),
        ("branch = :it", ["--param", "it=north"]),
        ("balance = :it", ["--param", "it=12.50"]),
        ("open = :it", ["--param", "it=true"]),
        ("rate = :it and id > :least", ["--param", "it=0.5", "--param", "least=-3"]),
        ("id = :it", ["--params", '{"it": 1}']),
        ("id = ? and balance > ?", ["--params", '[1, "1.5"]']),
    ],
)
def test_a_query_has_parameters(run: Run, viewed: Path, condition: str, words: list[str]) -> None:
    sql = f"select id from account where {condition}"
    assert run("query", viewed, sql, *words) == (0, "id\n 1\n", "")


def test_a_query_that_is_wrong_exits_with_1_and_wrong_usage_with_2(run: Run, viewed: Path) -> None:
    code, out, err = run("query", viewed, "select frob from account", "--json")
    assert (code, out, problem(err)["column"]) == (1, "", 8)
    code, _, err = run("query", viewed, "select id / 0 from account")
    assert (code, err) == (1, "error: line 1, column 8: division by zero\n")
    for words in (
        ["--param", "x"],
        ["--param", "a=1", "--param", "a=2"],
        ["--params", "{"],
        ["--param", "a=1", "--params", "{}"],
    ):
        assert run("query", viewed, "select :a::int", *words)[0] == 2
    assert run("query", viewed)[0] == 2


def test_describe_says_what_a_view_is_and_what_keeping_it_costs(run: Run, viewed: Path) -> None:
    code, out, _ = run("describe", viewed, "total")
    assert code == 0
    assert "branch  text  primary key" in out
    assert "a view of account: " in out
    assert out.endswith(
        "select branch, count(distinct balance) as n from account group by branch\n"
    )
    found = json.loads(run("describe", viewed, "total", "--json")[1])
    assert found["view"]["tables"] == ["account"]
    assert (found["view"]["rows_in"], found["view"]["rows_out"]) == (0, 0)
    assert found["bytes"]["beside"] > 0
    out = run("describe", viewed, "rich")[1]
    assert "not shown of its key: key_0 int\n" in out
    assert run("get", viewed, "rich", 1) == (0, "branch  north\n", "")
    assert "check account_balance_check: balance >= " in run("describe", viewed, "account")[1]


def test_what_schema_prints_makes_the_same_views_and_checks(
    run: Run, viewed: Path, tmp_path: Path
) -> None:
    said = run("schema", viewed)[1]
    assert "create view rich as select branch from account where balance > 10;" in said
    again, file = tmp_path / "again.reify", tmp_path / "schema.sql"
    file.write_text(said)
    assert run("schema", again, "--apply", file)[0] == 0
    assert run("schema", again)[1] == said


def test_a_view_with_parameters_is_printed_applied_and_described(
    run: Run, bank: Path, tmp_path: Path
) -> None:
    file, again = tmp_path / "more.sql", tmp_path / "again"
    file.write_text("""
        create view at_least as select id, owner from account where balance >= :least;
        create view rich as select * from at_least(100);
        create view between_both as select l.id from at_least(:least) l join rich r on r.id = l.id;
        create table late (id int primary key);
        create view late_of as select late.id from late join rich on rich.id = late.id + :more
    """)
    code, out, err = run("schema", bank, "--apply", file, "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["create", "view", "at_least", "0", "0"]
    assert out.splitlines()[2].split() == ["create", "view", "rich", "2", "0"]
    assert run("schema", bank, "--apply", file) == (0, "", "")
    printed = run("schema", bank)[1]
    assert "create view at_least as select id, owner from account where balance >= :least;" in (
        printed
    )
    file.write_text(printed)
    assert run("schema", again, "--apply", file) == (0, "", "")
    assert sorted(run("schema", again)[1].split(";")) == sorted(printed.split(";"))
    code, out, _ = run("describe", bank, "at_least")
    assert code == 0
    assert [line.split() for line in out.splitlines()][1] == ["id", "int", "not", "null"]
    assert "a view of account, used with values: at_least(least int)\n" in out
    assert out.endswith("select id, owner from account where balance >= :least\n")
    found = json.loads(run("describe", bank, "at_least", "--json")[1])
    assert [one["name"] for one in found["parameters"]] == ["least"]
    assert run("describe", bank, "at_lest")[2].endswith("(did you mean 'at_least'?)\n")
    use = "select id from at_least(:least)"
    assert run("query", bank, use, "--param", "least=50")[1].split() == ["id", "1"]
    refused = problem(run("scan", bank, "at_least", "--json")[2])
    assert "has parameters" in refused["detail"]
