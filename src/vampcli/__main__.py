"""`python -m vampcli` is the command `vamp`."""

from vampcli.cli.main import main

main()
