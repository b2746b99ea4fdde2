"""Benchmark of `vamp` against a plain version of the official program: `python -m benchmarks`."""
