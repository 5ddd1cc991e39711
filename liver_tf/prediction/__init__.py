"""From scans to result folders: the library behind ``trainers.predict``.

``many_scans`` is the entry point (``predict``), with the options of ``prediction_settings``;
``one_scan`` reads a scan, predicts it and writes its results; ``bad_scans`` decides what happens to
a scan that fails. ``named_scans`` reads ``--input`` and ``--input_list``; ``inputs_csv`` writes
``inputs.csv``, ``worklist`` the page and table of all scans.
"""
