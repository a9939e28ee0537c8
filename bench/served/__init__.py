"""Measurements of the server, with Redis and PostgreSQL beside it.

`tongues` is how each of them is spoken to, `generator` the process that does it, `hosts` starts and
stops them, and the measurements use all three.
"""
