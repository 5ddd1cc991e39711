"""Plots of a report as PNG files; ``plot_style.py`` holds what they have in common."""
