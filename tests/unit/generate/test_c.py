"""`reifydb generate c`."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from pathlib import Path

import reifydb.generate.c
from reifydb.engine.catalog import Column, Index, Table, Type
from reifydb.generate import generate_c
from reifydb.sql import parse_schema
from sdk.build import build_guest
from tests.unit.sdk.fake_host import custom_section

ROOT = Path(__file__).resolve().parents[3]


def test_the_committed_headers_are_those_of_their_sql() -> None:
    headers = {path.parent: path for path in ROOT.glob("examples/**/schema.h")}
    schemas = {folder: folder / "schema.sql" for folder in headers}
    headers["suite"] = ROOT / "tests/guests/c/every_type/schema.h"  # type: ignore[index]
    schemas["suite"] = ROOT / "tests/conformance/schema.sql"  # type: ignore[index]
    assert len(headers) > 1
    for where, header in headers.items():
        sql = schemas[where].read_text()
        tables = [statement.table for statement in parse_schema(sql)]
        assert header.read_text() == generate_c(tables, sql), header


def test_c_accepts_every_name_and_the_manifest_has_it_as_it_is(tmp_path: Path) -> None:
    names = "default default_ bool true int int64_t reifydb_text row key a_b _ a__b result".split()
    columns = tuple(Column(name, Type.INT, nullable=i > 9) for i, name in enumerate(names))
    tables = [
        Table(name, columns, (0, 2, 5), auto=0, indexes=(Index(f"i_{name}", (3, 10, 4)),))
        for name in names
    ]
    own = Index("bool", (3,))  # called as a table is, and as a word of C
    tables[0] = replace(tables[0], indexes=(*tables[0].indexes, own))
    text = "-- \"quoted\" \\ back\nselect 'é';"
    (tmp_path / "schema.h").write_text(generate_c(tables, text))
    (tmp_path / "guest.c").write_text(
        '#include "schema.h"\n'
        "REIFYDB_TRANSITION(make, none) {\n"
        "    int64_t id;\n"
        "    bool__row row = {.default_ = 0, .int_ = 1};\n"
        "    reifydb_cursor rows;\n"
        "    bool___range range = {.prefix = {7}, .prefix_columns = 1};\n"
        "    i_a_b_range other = {.lower = {.int_ = {true, 3}}, .lower_columns = 3};\n"
        "    TRY(bool___scan(&rows, &range));\n"
        "    TRY(i_a_b_scan(&rows, &other));\n"
        "    return default___create(&(default___row){.bool_ = 1}, &id) + bool__insert(&row);\n"
        "}\n"
        'REIFYDB_MODULE("m", SCHEMA, RELATIONS)\n'
    )
    module = build_guest(tmp_path / "guest.c", tmp_path / "guest.wasm").read_bytes()
    manifest = json.loads(custom_section(module, "reifydb.manifest"))
    assert manifest["schema"] == text
    assert [relation["name"] for relation in manifest["relations"]] == names
    for relation in manifest["relations"]:
        assert [column["name"] for column in relation["columns"]] == names
    indexes = {relation["name"]: relation["indexes"] for relation in manifest["relations"]}
    indexed = [names[3], names[10], names[4]]
    for name in names:
        assert indexes[name][0] == {"name": f"i_{name}", "columns": indexed}
    assert indexes["default"][1:] == [{"name": "bool", "columns": [names[3]]}]


def test_every_type_is_declared(tmp_path: Path) -> None:
    sql = (
        "create table t (a bool, b int primary key, c float, d text, e bytes, f timestamp, "
        "g decimal(18,4), h uuid, i json, j decimal(1,0) not null);"
    )
    [table] = [statement.table for statement in parse_schema(sql)]
    (tmp_path / "schema.h").write_text(generate_c([table], sql))
    source = tmp_path / "guest.c"
    source.write_text('#include "schema.h"\nREIFYDB_MODULE("m", SCHEMA, RELATIONS)\n')
    module = build_guest(source, tmp_path / "guest.wasm").read_bytes()
    [relation] = json.loads(custom_section(module, "reifydb.manifest"))["relations"]
    assert relation["columns"] == [
        {"name": c.name, "type": c.sql_type} | ({"nullable": True} if c.nullable else {})
        for c in table.columns
    ]


def test_the_example_in_the_docstring() -> None:
    assert doctest.testmod(reifydb.generate.c).failed == 0
