"""`python -m balance_service` is the same as `balance-service`."""

from balance_service.cli import app

if __name__ == "__main__":
    app()
