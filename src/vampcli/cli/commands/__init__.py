"""The commands of `vamp`, one file a command."""
