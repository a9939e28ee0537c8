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
    def mirror_sql(self) -> str:
        """In SQLite: columns without a type keep values as they are."""
        columns = ", ".join(f'"{name}"' for name in self.columns)
        key = ", ".join(f'"{name}"' for name in self.key)
        return f'create table "{self.name}" ({columns}, primary key ({key}))'


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
