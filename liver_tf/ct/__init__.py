"""CT files to HU arrays with geometry (:mod:`liver_tf.ct.scan`), and label maps back to files.

Readers: ``nifti_volume``, ``dicom_slice``, ``dicom_series``, ``dicom_seg``, ``mask_file``.
Sources of training data: ``lits_search``, ``dicom_series_search``, ``slices_csv``; their images and
labels are read slice by slice by ``nifti_with_labels`` and ``dicom_series_with_seg``. DICOM in
layers: elements, slice header, decoding, HU, slice order.
"""
