"""The server's HTTP side: routes under `/v1`, probes, metrics (docs/http.md)."""
