"""`reifydb generate c`."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import reifydb.generate.c
from reifydb.engine.catalog import Column, Table, Type
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
    columns = tuple(Column(name, Type.INT, nullable=False) for name in names)
    tables = [Table(name, columns, (0, 2, 5), auto=0) for name in names]
    text = "-- \"quoted\" \\ back\nselect 'é';"
    (tmp_path / "schema.h").write_text(generate_c(tables, text))
    (tmp_path / "guest.c").write_text(
        '#include "schema.h"\n'
        "REIFYDB_TRANSITION(make, none) {\n"
        "    int64_t id;\n"
        "    bool__row row = {.default_ = 0, .int_ = 1};\n"
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


def test_the_example_in_the_docstring() -> None:
    assert doctest.testmod(reifydb.generate.c).failed == 0
