"""Computed lesions in real scans.

``host.py``: liver, vessels and noise of a scan. ``paint.py``: lesions of the phantom's
models in a scan. ``implanted_folder.py``: scans to a folder that ``build_tfrecords`` reads.
``overlays.py``: a page of pictures.
"""
