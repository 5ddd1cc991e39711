"""What leaves the program: result folders of scans, and SavedModels.

A scan: ``scan_results`` writes the folder of ``scan_findings``: ``scan_page`` (with
``scan_page_data``, ``scan_page_table`` and the template), ``lesions_csv`` with
``lesion_centroids``, and ``dicom_seg_writer`` with ``dicom_seg_codes`` and
``valid_dicom_elements``. A model: ``export_model`` is the entry point; ``saved_model`` writes the
``signatures`` with ``signature_checks``, ``warmup_requests`` and ``model_card``.
"""
