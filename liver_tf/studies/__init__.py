"""Studies: grids of runs (folds x protocols x seeds), how they are executed, and what they report.

``reproduce.py`` is the paper's comparison, ``demo.py`` and ``phantom_study.py`` are chains of
commands on phantoms, ``transfer/`` is the study on one real scan. A study is planned by
``study_plan.py`` and executed by ``scheduler.py`` on ``process_engine.py`` or ``ray_engine.py``;
every run is a process (``run_process.py``), so that an interrupted study resumes.
"""
