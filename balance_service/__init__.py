"""Users' balances for a company's services."""

# What the package index knows it by; `balance-service` there is another project.
DISTRIBUTION = "balance-ledger-service"
