"""Training: a protocol as a sequence of cycles, in a run folder that survives a kill.

Commands start in ``pretraining.py`` and ``finetuning.py``; ``job.py`` carries a training out;
``protocol_run.py`` trains the cycles, ``cycle.py`` one of them. Options: ``training_settings.py``,
``cycle_settings.py``. What a cycle writes, and resuming after a kill: ``open_cycle.py``,
``cycle_state.py``; reusing finished cycles: ``finished_cycles.py``. One file each for
``learning_rate.py``, ``early_stopping.py``, ``optimiser.py``, ``training_step.py``,
``validation.py``, ``replicas.py`` (several GPUs), ``training_log.py`` and ``leak_check.py``.
"""
