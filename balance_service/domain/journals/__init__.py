"""Journals for accounting programs: their transactions, and the forms of each."""
