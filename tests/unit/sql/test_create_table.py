"""What `create table` means, and what is refused."""

import pytest

from reifydb import config
from reifydb.engine.catalog import Column, Table, Type
from reifydb.errors import SqlError
from reifydb.sql.create_table import CreateTable, parse_schema


def table(sql: str) -> Table:
    [statement] = parse_schema(sql)
    return statement.table


def column(definition: str) -> Column:
    return table(f"create table t (id int primary key, c {definition})").columns[1]


def refused(sql: str) -> SqlError:
    with pytest.raises(SqlError) as caught:
        parse_schema(sql)
    return caught.value


def test_the_table_of_the_bank() -> None:
    sql = "create table account (id int primary key, owner text not null, balance int not null)"
    assert parse_schema(sql) == (
        CreateTable(
            Table(
                "account",
                (
                    Column("id", Type.INT, False),
                    Column("owner", Type.TEXT, False),
                    Column("balance", Type.INT, False),
                ),
                (0,),
            )
        ),
    )


def test_a_script_has_any_number_of_statements() -> None:
    assert parse_schema("") == parse_schema(" -- nothing\n;;") == ()
    statements = parse_schema(
        """
        -- the first; with a semicolon
        create table a (id int primary key) /* and a comment */;
        ;
        create table if not exists b (id int primary key);
        """
    )
    assert [(s.table.name, s.if_not_exists) for s in statements] == [("a", False), ("b", True)]


@pytest.mark.parametrize(
    ("names", "type_"),
    [
        ("bool boolean BOOLEAN", Type.BOOL),
        ("int integer bigint int8", Type.INT),
        ("float|float8|double|double precision|double  precision", Type.FLOAT),
        ("text varchar string", Type.TEXT),
        ("bytes bytea blob", Type.BYTES),
        (
            "timestamp|timestamptz|timestamp with time zone|timestamp without time zone",
            Type.TIMESTAMP,
        ),
    ],
)
def test_types_have_several_names(names: str, type_: Type) -> None:
    for name in names.split("|") if "|" in names else names.split():
        assert column(name) == Column("c", type_, True), name


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ("smallint", "int has 64 bits"),
        ("int2", "int has 64 bits"),
        ("int4", "int has 64 bits"),
        ("tinyint", "int has 64 bits"),
        ("real", "float has 64 bits"),
        ("float4", "float has 64 bits"),
        ("float(24)", "takes no argument"),
        ("varchar(3)", "takes no argument"),
        ("char(3)", "text has no length"),
        ("char", "text has no length"),
        ("character varying", "text has no length"),
        ("numeric", "decimal(p,s)"),
        ("decimal(19, 2)", "1 to 18"),
        ("decimal(0)", "1 to 18"),
        ("decimal(3, 4)", "scale"),
        ("decimal(3, -1)", "expected )"),
        ("decimal(3, 1, 1)", ""),
        ("uuid(3)", "takes no argument"),
        ("json[]", ""),
        ("timestamp(3)", "takes no argument"),
        ("timestamptz(3)", "takes no argument"),
        ("int[]", "type int"),
        ("int unsigned", "variant"),
        ("timestamp with local time zone", "variant"),
        ("bytes(3)", "takes no argument"),
        ("my.type", "no type 'my'"),
        ("enum('a')", "no type 'enum'"),
        ("wibble", "types are bool, int"),
        ("", "has no type"),
        ("default 1", "has no type"),
    ],
)
def test_a_type_that_promises_something_else_is_refused(definition: str, said: str) -> None:
    error = refused(f"create table t (id int primary key, c {definition})")
    assert said in str(error)
    assert error.line == 1


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ("bool default true", True),
        ("bool default FALSE", False),
        ("bool default null", None),
        ("int default 7", 7),
        ("int default +7", 7),
        ("int default -9223372036854775808", -(1 << 63)),
        ("int default 000000000000000000000000000009223372036854775807", (1 << 63) - 1),
        ("float default 1", 1.0),
        ("float default -1.5e-3", -0.0015),
        ("float default .5", 0.5),
        ("float default 5.", 5.0),
        ("text default ''", ""),
        ("text default 'it''s \\n ü'", "it's \\n ü"),
        ("text default 'a\nb'", "a\nb"),
        ("bytes default '\\x'", b""),
        ("bytes default '\\x00fF'", b"\x00\xff"),
        ("timestamp default '1970-01-01'", 0),
        ("timestamp default '1970-01-01T00:00:01.5Z'", 1_500_000),
        ("timestamp default '1970-01-01 00:00'", 0),
        ("timestamp default '1970-01-01 00:00:00+01'", -3_600_000_000),
        ("timestamp default '1970-01-01 00:00:00.000001 -01:30'", 5_400_000_001),
        ("timestamp default '1969-12-31 23:59:59.999999'", -1),
    ],
)
def test_defaults_are_literals(definition: str, value: object) -> None:
    found = column(definition).default
    assert found == value
    assert type(found) is type(value)


def test_the_default_of_a_float_is_never_negative_zero() -> None:
    assert str(column("float default -0.0").default) == "0.0"


@pytest.mark.parametrize(
    "definition",
    [
        "bool default 1",
        "bool default 'true'",
        "int default 'x'",
        "int default 1.0",
        "int default 1e3",
        "int default true",
        "int default 9223372036854775808",
        "int default -9223372036854775809",
        "int default " + "9" * 10_000,
        "int default (1)",
        "int default 1 + 1",
        "int default - -1",
        "int default now()",
        "int default id",
        "int default (select 1)",
        "int default 0x10",
        "float default 1e400",
        "float default 'nan'",
        "float default -'1'",
        "text default 1",
        "text default 'a'::text",
        "text default 'a' 'b'",
        "text default 'a' || 'b'",
        "text default E'a'",
        "text default U&'a'",
        "text default $$a$$",
        "text default current_user",
        "bytes default 'abc'",
        "bytes default '\\x0'",
        "bytes default '\\x0g'",
        "bytes default x'00'",
        "timestamp default 0",
        "timestamp default 'now'",
        "timestamp default current_timestamp",
        "timestamp default timestamp '1970-01-01'",
        "timestamp default '1970-02-30'",
        "timestamp default '1970-01-01 24:00:00'",
        "timestamp default '1970-01-01 00:00:00.0000001'",
        "timestamp default '1970-01-01 00:00:00+99'",
        "timestamp default '0001-01-01 00:00:00+14'",
        "timestamp default '9999-12-31 23:59:59-01'",
        "timestamp default '1970-W01'",
    ],
)
def test_a_default_of_the_wrong_type_or_range_is_refused(definition: str) -> None:
    error = refused(f"create table t (id int primary key, c {definition})")
    assert error.line == 1
    assert error.column is not None


def test_columns_are_nullable_unless_said_or_of_the_key() -> None:
    made = table("create table t (a int not null, b int null, c int, d int, primary key (d, a))")
    assert [c.nullable for c in made.columns] == [False, True, True, False]
    assert made.key == (3, 0)


@pytest.mark.parametrize(
    "definition",
    [
        "serial primary key",
        "bigserial primary key",
        "int primary key auto_increment",
        "int auto_increment not null primary key",
        "bigint generated always as identity primary key",
        "int primary key generated by default as identity",
    ],
)
def test_auto_increment_has_several_spellings(definition: str) -> None:
    made = table(f"create table t (id {definition}, x text)")
    assert (made.auto, made.key, made.columns[0].nullable) == (0, (0,), False)


def test_names_are_lower_case_unless_quoted() -> None:
    made = table('CREATE TABLE Account (ID int, "order" text, PRIMARY KEY (Id))')
    assert (made.name, [c.name for c in made.columns]) == ("account", ["id", "order"])


@pytest.mark.parametrize(
    "word", "name type date key index value status count position end user order".split()
)
def test_a_name_may_be_a_word_of_sql(word: str) -> None:
    assert table(f"create table t ({word} int primary key)").columns[0].name == word


@pytest.mark.parametrize(
    ("sql", "line", "column", "said"),
    [
        ("create table t (a int)", 1, 1, "no primary key (write a … primary key"),
        ("create table t ()", 1, 1, "at least one column"),
        ("create table t", 1, 1, "at least one column"),
        ("create table t (a int primary key, A int)", 1, 36, "column a is there twice"),
        ("create table t (a int, primary key (b))", 1, 37, "no column b (there are: a)"),
        ("create table t (a int, primary key (a, a))", 1, 40, "primary key twice"),
        ("create table t (a int, primary key ())", 1, None, ""),
        ("create table t (a int, primary key (a + 1))", 1, None, ""),
        ("create table t (a int primary key, b int primary key)", 1, 36, "two primary keys"),
        ("create table t (a int primary key, primary key (a))", 1, 49, "two primary keys"),
        ("create table t (a int null primary key)", 1, 17, "cannot be null"),
        ("create table t (a int null, primary key (a))", 1, 17, "cannot be null"),
        ("create table t (a int not null null primary key)", 1, 17, "said twice"),
        ("create table t (a int default 1 default 2 primary key)", 1, 41, "said twice"),
        ("create table t (a serial auto_increment primary key)", 1, 17, "said twice"),
        ("create table t (a int primary key, b serial)", 1, 36, "not in the primary key"),
        ("create table t (a serial, b serial, primary key (a, b))", 1, 27, "two auto-increment"),
        ("create table t (a text primary key auto_increment)", 1, 17, "of type text, not int"),
        ("create table t (a serial primary key default 1)", 1, 17, "cannot have a default"),
        ("create table reifydb_x (a int primary key)", 1, 14, "reserved"),
        ('create table "T" (a int primary key)', 1, 14, "cannot be a table's name"),
        ("create table é (a int primary key)", 1, 14, "cannot be a table's name"),
        (f"create table {'t' * 64} (a int primary key)", 1, 14, "at most 63"),
        ('create table t (\n\n  "a b" int primary key)', 3, 3, "cannot be a column's name"),
        ("create table public.t (a int primary key)", 1, 14, "no dot"),
        ("create table t (a int primary key,)", 1, 34, "a comma with nothing after it"),
        ("create table t (a int primary key) x", 1, 1, "not supported"),
        ("create table t (a int primary key) with (fillfactor = 70)", 1, 1, "not supported"),
        ("create temp table t (a int primary key)", 1, 1, ":memory:"),
        ("create unlogged table t (a int primary key)", 1, 1, "unlogged"),
        ("create or replace table t (a int primary key)", 1, None, "replace"),
        ("create table t as select 1", 1, 1, "write the columns out"),
        ("create table t (like u)", 1, None, "write the columns out"),
        ("create table t (a int unique primary key)", 1, 17, "unique"),
        ("create table t (a int primary key, unique (a))", 1, None, "unique"),
        ("create table t (a int primary key references u on delete set null)", 1, None, "set null"),
        ("create table t (a int, foreign key (a) references u (b, c))", 1, None, "references 2"),
        ('create table t (a text collate "C" primary key)', 1, None, "code point"),
        ("create table t (a int primary key comment 'x')", 1, None, "comment"),
        (
            "create table t (a int primary key, b int generated always as (a) stored)",
            1,
            None,
            "gen",
        ),
        ("create table t (a int constraint k primary key)", 1, 34, "named constraints"),
        ("create table t (a int, constraint k primary key (a))", 1, 35, "constraint"),
        ("create table t (a int primary key desc)", 1, None, "desc"),
        (
            "create table t (a int generated always as identity (start with 5) primary key)",
            1,
            None,
            "",
        ),
        ("create table t (a int primary key deferrable)", 1, None, ""),
        ("create tabel t (a int primary key)", 1, 1, "not supported"),
        ("create table a (a int primary key);\n  drop type a", 2, 3, "not supported"),
        ("insert into t values (1)", 1, 1, "not supported"),
        ("grant all on t to x", 1, 1, "not supported"),
        ("hello", 1, 1, "not supported"),
        ("create table t (a int primary key", 1, None, ""),
        ("create table t (a int primary key))", 1, None, ""),
        ("\n create table t (a int default 'x", 2, 32, "no closing '"),
        ("/* never ends", None, None, "does not end"),
        ("create table t (a \0 int primary key)", 1, None, ""),
        ("create table t (a text default '\ud800')", 1, 33, "surrogate"),
        ("(" * 1000, 1, 33, "nested too deep"),
        ("create table t (a int" + "[]" * 5000 + ")", 1, None, ""),
        ("create table t (a int default " + "- " * 20_000 + "1)", 1, 1, "nested too deep"),
        ("create table t (a int default " + "not " * 20_000 + "1)", 1, 1, "nested too deep"),
    ],
)
def test_everything_else_is_refused(
    sql: str, line: int | None, column: int | None, said: str
) -> None:
    error = refused(sql)
    assert said in str(error)
    assert error.line == line
    if column is not None:
        assert error.column == column


def test_a_refused_statement_leaves_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    refused("create tabel t (a int)")
    refused("grant all on t to x")
    assert not caplog.records


def test_columns_max() -> None:
    def sql(count: int) -> str:
        columns = ", ".join(f"c{number} int" for number in range(count))
        return f"create table t ({columns}, primary key (c0))"

    assert len(table(sql(config.columns_max)).columns) == config.columns_max
    assert "columns_max is 256" in str(refused(sql(config.columns_max + 1)))


def test_sql_bytes_max() -> None:
    sql = "create table t (a int primary key) -- "
    assert parse_schema(sql + "x" * (config.sql_bytes_max - len(sql)))
    assert "sql_bytes_max is 1,048,576" in str(refused(sql + "ü" * (config.sql_bytes_max // 2)))


def test_a_mebibyte_of_parentheses_is_refused() -> None:
    assert "nested too deep" in str(refused("(" * config.sql_bytes_max))


def test_sql_is_text() -> None:
    assert "bytes" in str(refused(b"create table"))  # type: ignore[arg-type]
