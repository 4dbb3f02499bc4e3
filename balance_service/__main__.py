"""`python -m balance_service` is the same as `balance-service`."""

import sys

# As shells have it: 128 and the number of SIGINT.
INTERRUPTED = 130


def main() -> None:
    """Runs the command line. Ctrl-C ends it without a traceback, also while modules load."""
    try:
        from balance_service import cli  # noqa: PLC0415 - Ctrl-C may end it

        cli.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
