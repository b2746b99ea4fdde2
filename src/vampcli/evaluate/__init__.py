"""Metrics and experiments that measure models."""
