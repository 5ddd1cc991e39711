"""Results kept in run folders, and what a report reads from these folders.

``run_results.py`` holds the results of a run, ``stored_results.py`` saves and loads them,
``pool_runs.py`` combines runs into protocols, ``results_csv.py`` writes them as a table.
``study_inventory.py`` lists the runs of a study with their state, ``training_history.py`` reads
their cycles, ``example_slices.py`` the slices shown in reports, and ``leakage_audit.py`` checks
test against training data again.
"""
