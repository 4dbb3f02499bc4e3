"""The service without Postgres, for tests of others: the ledger's own rules over dictionaries.

Requests are read, authorised, decided and answered by the code of the real service. Only what reads
from tables is written anew here; what is not is UNIMPLEMENTED.
"""
