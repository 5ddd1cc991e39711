"""Phantom abdomens in real file formats: something to train on where no patient data may go.

``python -m data_prep.phantom --output=DIR`` writes a LiTS-like and a Sheba-like set. The modules,
in the order in which they build on each other: ``streams`` (randomness), ``shapes`` (implicit
surfaces), ``body`` (outline, bones, lungs), ``liver`` (shape and vessels), ``organs``,
``lesions``, ``anatomy`` (one patient: all of it, drawn on a plane), ``scanner`` (from clean HU to
an image), ``cohort`` (which patients, which lesions, which slices), ``writers`` (files), ``build``
(the whole folder).
"""
