"""`python -m vampcli` is the command `vamp`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it in good order even while its modules are imported."""
    try:
        from vampcli.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("\nvamp: interrupted\n")
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
