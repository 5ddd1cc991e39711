"""Output: the result folder of a scan, and SavedModels.

Scans: ``scan_results`` writes the result folder from ``scan_findings``, with ``scan_page``,
``lesions_csv`` (with centroids), ``dicom_seg_writer`` and ``dicom_sr_writer``. Models: start at
``export_model``; ``saved_model`` writes the ``signatures`` (``signature_checks``),
``warmup_requests`` and ``model_card``.
"""
