"""Training: a protocol as a sequence of cycles, in a run folder that can be resumed.

Entry points: ``pretraining.py`` and ``finetuning.py``. ``job.py`` prepares and runs a training,
``protocol_run.py`` its cycles, ``cycle.py`` one cycle, ``cycle_setup.py`` what it starts from.
Options: ``training_settings.py``, ``cycle_settings.py``, ``loss_settings.py``. Files of a cycle,
and resuming: ``open_cycle.py``, ``cycle_state.py``; reusing finished cycles:
``finished_cycles.py``. One file each for ``learning_rate.py``, ``early_stopping.py``,
``optimiser.py``, ``training_step.py``, ``validation.py``, ``replicas.py`` (several GPUs),
``training_log.py`` and ``leak_check.py``.
"""
