"""Conversion of published weight files to model folders."""
