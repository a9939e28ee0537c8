"""The tables that views are made of: related, with nulls wherever they may be, and bad names."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.views.kinds import (
    BIGINT,
    BOOL,
    BYTES,
    DECIMAL2,
    DECIMAL3,
    FLOAT,
    INT,
    JSON,
    TEXT,
    TIMESTAMP,
    UUID,
    Kind,
)


@dataclass
class Base:
    """A table.

    Attributes:
        key: Names of the primary key's columns.
        required: Names of columns that are never null, besides those.
    """

    name: str
    columns: dict[str, Kind]
    key: tuple[str, ...]
    required: tuple[str, ...] = ()
    defaults: dict[str, object] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """In ReifyDB."""
        columns = [
            f'"{name}" {kind.sql.replace("bigint", "int")}'
            + (" not null" if name in self.required else "")
            for name, kind in self.columns.items()
        ]
        key = ", ".join(f'"{name}"' for name in self.key)
        return f'create table "{self.name}" ({", ".join(columns)}, primary key ({key}))'

    @property
    def open_views(self) -> list[str]:
        """Views with parameters over it, the last one over the first; see `uses`."""
        columns = ", ".join(f'"{name}"' for name in self.columns)
        first, *_ = keys = [f'"{name}"' for name in self.key]
        order = ", ".join(keys)
        read, upto = f'select {columns} from "{self.name}"', f'"upto_{self.name}"'
        return [
            f"create view {upto} as {read} where {first} <= :most",
            f'create view "first_{self.name}" as {read} order by {order} limit :n',
            (
                f'create view "within_{self.name}" as select * from {upto}(:most) '
                f"where {first} > :least"
            ),
        ]

    @property
    def mirror_sql(self) -> str:
        """In SQLite: columns without a type keep values as they are."""
        columns = ", ".join(f'"{name}"' for name in self.columns)
        key = ", ".join(f'"{name}"' for name in self.key)
        return f'create table "{self.name}" ({columns}, primary key ({key}))'


def uses(
    table: str, columns: str, key: tuple[str, ...], least: tuple[str, str], most: tuple[str, str]
) -> list[tuple[str, str]]:
    """Uses of the views with parameters over a table, and what they stand for in SQLite.

    Args:
        least, most: Values in both dialects.
    """
    first, *_ = keys = [f'"{name}"' for name in key]
    read = f'select {columns} from "{table}"'
    return [
        (f'select * from "upto_{table}"({most[0]})', f"{read} where {first} <= {most[1]}"),
        (f'select * from "first_{table}"(n => 3)', f"{read} order by {', '.join(keys)} limit 3"),
        (
            f'select * from "within_{table}"(least => {least[0]}, most => {most[0]})',
            f"{read} where {first} <= {most[1]} and {first} > {least[1]}",
        ),
    ]


def bases() -> list[Base]:
    """New ones, since they get more columns."""
    return [
        Base(
            "order",
            {
                "id": INT,
                "key_0": INT,
                "region": TEXT,
                "value": BIGINT,
                "price": DECIMAL2,
                "weight": FLOAT,
                "times": TEXT,
                "at": TIMESTAMP,
                "open": BOOL,
                "ref": UUID,
                "data": BYTES,
                "doc": JSON,
            },
            ("id",),
        ),
        Base(
            "customer",
            {
                "region": TEXT,
                "key_0": INT,
                "name": TEXT,
                "score": FLOAT,
                "active": BOOL,
                "since": TIMESTAMP,
                "limit": DECIMAL2,
            },
            ("region", "key_0"),
        ),
        Base(
            "line",
            {
                "state_1": INT,
                "order_id": INT,
                "sku": TEXT,
                "qty": INT,
                "cost": DECIMAL3,
                "flag": BOOL,
            },
            ("state_1",),
            ("qty",),
        ),
        Base(
            "group",
            {"name": TEXT, "parent": TEXT, "rank": INT, "ref": UUID, "share": FLOAT},
            ("name",),
        ),
    ]


INDEXES = (
    'create index line_order on "line" ("order_id")',
    'create index order_at on "order" ("at", "open")',
    'create index group_parent on "group" ("parent")',
)

LINKS = (
    (("order", "id"), ("line", "order_id")),
    (("line", "order_id"), ("order", "id")),
    (("line", "sku"), ("group", "name")),
    (("group", "name"), ("line", "sku")),
    (("group", "parent"), ("group", "name")),
    (("group", "name"), ("group", "parent")),
    (("order", "region"), ("customer", "region")),
    (("customer", "key_0"), ("order", "key_0")),
    (("order", "times"), ("group", "name")),
    (("group", "ref"), ("order", "ref")),
    (("line", "qty"), ("group", "rank")),
    (("customer", "since"), ("order", "at")),
)
"""What tables are joined by: along keys, along indexes, and along neither."""
