"""Random histories: one list of operations, run by a database and by its oracles, compared."""
