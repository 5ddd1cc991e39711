"""Phantom abdomens in real file formats, for places where no patient data may go.

Start at ``phantom_folder`` (writes a LiTS-like and a Sheba-like set) and ``phantom_plan`` (its
options). ``cohort`` decides on patients, lesions and slices; ``anatomy`` is one patient, painted
from ``body``, ``liver``, ``organs`` and ``lesions`` (a new lesion type goes there), in the varied
anatomy from ``varied_body``, ``varied_organs`` and ``bowel``; ``scanner`` turns anatomy into an
image; ``writers`` writes the files; ``tissue_codes`` are those of tissue maps. ``shapes``,
``plane``, ``tissues`` and ``random_streams`` are the tools.
"""
