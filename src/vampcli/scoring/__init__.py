"""Scores of takes against the music around them."""
