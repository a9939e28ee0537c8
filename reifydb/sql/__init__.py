"""SQL in: the statements that change a schema. Importing this does not load the parser."""

from reifydb.sql.create_table import parse_schema, render_create_table
from reifydb.sql.statements import parse_statements

__all__ = ["parse_schema", "parse_statements", "render_create_table"]
