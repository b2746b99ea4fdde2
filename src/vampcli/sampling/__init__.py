"""Parallel iterative sampling of hidden tokens, in windows."""
