"""SQL in: schemas from `create table` statements. Importing this does not load the parser."""

from reifydb.sql.create_table import CreateTable, parse_schema, render_create_table

__all__ = ["CreateTable", "parse_schema", "render_create_table"]
