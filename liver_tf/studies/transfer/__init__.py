"""The transfer study: a liver network of phantoms, fine-tuned on few slices of one real CT scan.

``transfer_study.py`` is the study end to end. ``scan_split.py`` decides which slices train,
validate and test; ``slice_cases.py`` writes them as cases of their own. ``transfer_results.py``
reads the results, ``claims.py`` compares protocols, ``transfer_page.py`` is the report.
"""
