"""Statistics over patients: uncertainty of a measure and differences between protocols.

``bootstrap_intervals.py`` computes confidence intervals, ``permutation_test.py`` p values and
Holm's correction, ``protocol_comparisons.py`` decides which protocols are compared, and
``paired_difference.py`` holds the outcome of a comparison and when a difference counts as shown.
``paired_t.py`` tests replicates of a study for a difference and for equivalence.
"""
