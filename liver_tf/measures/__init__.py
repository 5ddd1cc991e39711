"""Measures of predictions against the truth, computed from one row of numbers per slice.

``compare_with_truth.py`` reduces a slice to a ``SliceResult`` (``slice_result.py``), with
``lesion_matching.py`` and ``surface_distances.py``. ``paper_measures.py`` holds Dice1, Dice2,
Success and Accuracy, ``further_measures.py`` all others, ``calibration.py`` calibration error and
temperature. ``measure_registry.py`` lists every measure: add new ones there.
"""
