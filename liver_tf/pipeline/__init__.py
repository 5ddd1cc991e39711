"""Records to batches.

Shards to slices on the network's grid: ``slices.py``, ``resample.py``; kept in memory or read when
needed: ``slices_in_memory.py``, ``slices_on_disk.py``. Which slices an epoch shows:
``sampling.py``. Augmentation: ``augmentation/``. Batches of an epoch: ``batches.py``. Input
standardisation, which the network's users apply: ``standardisation.py``.
"""
