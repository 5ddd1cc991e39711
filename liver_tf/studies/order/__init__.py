"""The order study: does the order of freezing matter? Controlled comparisons over replicates.

``order_arms.py`` holds the arms, ``order_cell.py`` trains and measures those of a replicate,
``order_study.py`` is the study end to end, ``order_effects.py`` computes the planned comparisons,
``order_report.py`` writes them.
"""
