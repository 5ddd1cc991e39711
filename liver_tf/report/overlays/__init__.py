"""Outlines of truth and prediction on CT slices.

``outlines.py`` computes them, ``draw_overlays.py`` draws them, ``example_sheets.py`` draws the
worst, median and best slices of a report.
"""
