"""Views against stdlib sqlite3: random tables, transactions, views, and what was broken once."""
