"""`python -m balance_service` is the same as `balance-service`."""

import sys

INTERRUPTED = 130


def main() -> None:
    """The program. Ctrl-C ends it quietly, also while it loads what it needs."""
    try:
        from balance_service import cli  # noqa: PLC0415 - within what Ctrl-C may end

        cli.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
