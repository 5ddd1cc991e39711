"""Augmentation. A new kind needs a range, its random number, and its place in ``augment.apply``.

Ranges and defaults: ``ranges.py``. Drawing and applying parameters: ``augment.py``. Geometry:
``warp.py``, ``elastic.py``. Grey levels: ``grey_levels.py``, ``noise.py``. Keeping lesions inside
the frame: ``lesion_safe.py``, ``lost_lesions.py``. Compilation: ``xla.py``.

These modules import nothing but TensorFlow, NumPy, the standard library and modules without Keras:
the parity test also runs them under TensorFlow 2.15.
"""
