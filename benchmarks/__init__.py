"""How fast `vamp` is, against a plain version of the official program in the same run: `python -m benchmarks`."""
