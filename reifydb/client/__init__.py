"""Clients of a served database: `reifydb.connect` and `reifydb.aconnect` (docs/clients.md).

From a call to the wire: `AsyncDatabase.call` (database.py) → a request (requests.py) → the
protocol, which knows no sockets (protocol.py) → frames (connection.py). What a server streams
becomes snapshots and deltas in feed.py.
"""
