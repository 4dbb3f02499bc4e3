"""Statements as files, entry by entry: CSV, JSON and PDF."""
