"""Queries and views: from resolved SQL to plans that the kernel runs; no kernel, no text here."""
