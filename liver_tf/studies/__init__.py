"""Studies: grids of runs (folds x protocols x seeds), how they are executed, and what they report.

``reproduce.py`` is the paper's comparison, ``demo.py``, ``phantom_study.py`` and
``preset_study.py`` (with its ``preset_report.py``) are chains of commands on phantoms, ``order/``
compares orders of freezing over replicates, ``transfer/`` is the study on one real scan.
``study_plan.py`` plans a study; ``scheduler.py`` executes it in local processes or on a Ray cluster
(``ray_engine.py``). Every run is a process (``run_process.py``), or shares one with runs of equal
data (``shared_process.py``); an interrupted study resumes.
"""
