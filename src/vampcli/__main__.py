"""`python -m vampcli` is the command `vamp`."""

import gc
import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it in good order even while its modules are imported."""
    gc.disable()  # modules stay, so that every search for garbage among them is in vain
    try:
        from vampcli.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("\nvamp: interrupted\n")
        raise SystemExit(130) from None
    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
