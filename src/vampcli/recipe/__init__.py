"""Recipes of takes, and token files."""
