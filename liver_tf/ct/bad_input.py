"""Refusals of CT files and masks: what the user can do, by reason code (``docs/bad_input.md``)."""

from pathlib import Path

from liver_tf.extras import install_extra
from liver_tf.refusals import Refusal

_COPY_OR_EXPORT = "Copy the file again, or export it again from the archive."
_CORRECT = "Export the image again, or correct this element."
_LITS = (
    "Use a folder with pairs of volume-N.nii[.gz] and segmentation-N.nii[.gz], or with imagesTr "
    "and labelsTr; each number once."
)

#: By the first word of the code, for codes that have no remedy of their own.
_GENERAL_REMEDIES = {
    "nifti": "Copy or download the file again.",
    "hu": "Export the image again as CT in HU, or correct its slope and intercept.",
    "lits": _LITS,
    "pair": _LITS,
    "dicom": "Export the image again from the archive.",
    "itk": "Write the file again, or as NIfTI (.nii.gz).",
    "series": "Use a folder that holds the slices of one axial series and nothing else; single "
    "slices can be used one by one.",
    "seg": "Use the complete segmentation that was drawn on this series.",
    "mask": "Export the mask again, as drawn on this image.",
}

_REMEDIES = {
    "file-missing": "Check the path, and that the disk is mounted.",
    "file-format": "Convert it to NIfTI (.nii.gz), or use the DICOM files from the archive.",
    "file-unreadable": "Check the permissions and the disk.",
    "file-changed": "Wait until the file is complete, and run the same command again.",
    "file-expands": "Check where the file came from; store label maps as 8-bit integers.",
    "nifti-header": "Check that the file is an image and was copied completely.",
    "nifti-misnamed": "Check where the file came from, then rename it.",
    "nifti-size": "Write the file again: its header does not describe its voxels.",
    "nifti-dimensions": "Split a time series into volumes; stack single slices into a volume. For "
    "an impossible size, write the file again: its header is damaged.",
    "nifti-datatype": "Convert the image to int16.",
    "nifti-offset": "Write the file again with a common NIfTI library.",
    "nifti-scale": "Write the file again with the correct scaling.",
    "nifti-spacing": "Write the file again with the voxel size of the scan.",
    "nifti-units": "Write the file again in millimetres.",
    "nifti-affine": "Write the file again with the geometry of the scan.",
    "hu-not-finite": "Export the volume again; fill padding with air (-1000 HU).",
    "dicom-no-prefix": "Export the image from the archive as a DICOM file (PS3.10); DCMTK's "
    "dcmconv adds a missing preamble.",
    "dicom-unreadable": _COPY_OR_EXPORT,
    "dicom-number": _CORRECT,
    "dicom-not-ct": "Use the original CT slices, not screenshots or other examinations.",
    "dicom-enhanced": "Convert it to single slices or to NIfTI, for example with dcm2niix.",
    "dicom-multiframe": "Export the slices one by one.",
    "dicom-localizer": "Remove localizers from the data.",
    "dicom-not-axial": "Use the axial series of the study.",
    "dicom-burned-in": "Use the original slice.",
    "dicom-photometric": "Use the original CT slices, not screenshots or inverted images.",
    "dicom-rescale": "Export the image again with its rescale values: without them the HU are "
    "unknown.",
    "dicom-not-hu": "Use the series in HU instead of a dose, density or spectral map.",
    "dicom-spacing": _CORRECT,
    "dicom-orientation": _CORRECT,
    "dicom-size": "Export the image again: its header is damaged.",
    "dicom-truncated": _COPY_OR_EXPORT,
    "dicom-bits": "Export the image again without overlays.",
    "dicom-padding": "Export the image again, or remove or correct PixelPaddingValue.",
    "dicom-pixels": "Export the image again, uncompressed if possible.",
    "no-geometry": "Export the image again with its geometry. Without it, results can be drawn but "
    "not written as NIfTI or DICOM SEG.",
    "series-incomplete": "Export the series again. --allow_damaged uses it without these files.",
    "series-no-uid": "Export the series again: the slice cannot be assigned without it.",
    "series-no-patient": "Export with a PatientID (a pseudonym will do). If every study belongs to "
    "a different patient, use --series_without_patient_id=own_patient.",
    "series-no-seg": "Add it below the folder (RT structure sets are not read: convert them to "
    "DICOM SEG), or remove the series.",
    "series-not-corrected": "Correct the segmentation and add the result, or remove the series: "
    "a network does not learn from its own output.",
    "series-patients": "Export the series of each patient separately.",
    "series-studies": "Export the series of each study separately.",
    "series-frames": "Export again: slices with several frames of reference cannot be placed "
    "beside each other.",
    "series-instance-twice": "Export the series again: identifiers were changed or copied.",
    "series-alternates": "Choose one of the values, and put its slices into a folder of their own.",
    "seg-not-binary": "Export it as binary segments: the threshold for probabilities is unknown.",
    "seg-scan": "Use a NIfTI mask for a NIfTI image.",
    "seg-no-series": "Export the series beside its segmentation, or remove the segmentation.",
    "seg-several-series": "Export a segmentation for each series.",
    "seg-no-reference": "Export it again with its references (ReferencedSeriesSequence).",
    "seg-label-twice": "Remove all but the correct one, or merge them into one DICOM SEG.",
    "seg-overlap": "Correct the segmentation.",
    "mask-missing": "Outline the liver in healthy slices too, or remove the line.",
    "mask-ambiguous": "Map the segment by its number, or remove one of the two from the mapping.",
    "mask-damaged": "Copy the file again.",
    "mask-palette": "Save the mask as greyscale. If its values are the indices of the palette, use "
    "--palette_index.",
    "mask-0-255": "Add the meaning of each value to the mapping of mask values.",
    "mask-unmapped": "Add it to the mapping; map it to background to ignore it.",
    "mask-labels": "Correct the mask, or choose another label set. Labels are not clipped or "
    "rounded.",
    "mask-tissues": "Write the phantom again, or remove its tissue map.",
    "diagnosis-against-mask": "Correct the diagnosis or the mask, or check --mask_values.",
    "csv-patient-twice": "Give each person one patient_id. If the CSV is right and the images are "
    "wrong, use --ignore_patient_id.",
    "neighbour-unplaced": "Export the slices again with SeriesInstanceUID, position and "
    "orientation, or leave them out of the column neighbours.",
    "neighbour-other-series": "List slices of the scan of the annotated image only.",
    "neighbour-other-geometry": "List slices with the size, spacing and orientation of the "
    "annotated image only.",
    "neighbour-annotated": "Remove it from the column neighbours: its labels are known.",
    "neighbour-twice": "List each slice once.",
    "caution": "Correct the input, or read it without --strict. The codes are explained in "
    "docs/data_in.md.",
    "unexpected-error": "Check the file with another program, and report the error type as a bug.",
    "site-key-weak": "Put a random key into the key file or into LIVER_TF_SITE_KEY, for example "
    "the output of: openssl rand -hex 32.",
}


def bad_input(code: str, path: Path | str | None, expected: str, found: str) -> Refusal:
    """A refusal with the remedy of its code."""
    if code == "dicom-no-decoder":
        remedy = install_extra("codecs")
    else:
        remedy = _REMEDIES.get(code) or _GENERAL_REMEDIES[code.partition("-")[0]]
    return Refusal(code, path, expected=expected, found=found, remedy=remedy)
