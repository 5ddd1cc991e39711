"""The mark of scans with computed lesions, and the caution on reading them."""

from liver_tf.refusals import Caution

#: Start of the header's description in NIfTI, and of DerivationDescription in DICOM.
IMPLANTED_MARK = "liver_tf: computed lesions in a real scan"
IMPLANTED = Caution("implanted", "the scan holds computed lesions: not for tests on real ones")
