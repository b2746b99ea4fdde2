"""Plots of takes, training runs and experiments."""
