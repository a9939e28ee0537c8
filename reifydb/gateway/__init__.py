"""The server: a database over HTTP and WebSocket."""
