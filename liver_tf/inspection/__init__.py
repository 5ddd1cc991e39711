"""What a data set contains, checked before anything is trained on it.

``fingerprint.py`` gathers the facts of each case, ``mask_checks.py`` finds misplaced masks and
``fingerprint_text.py`` prints both. The page of ``verify --html`` is built by ``verify_page.py``
from ``contact_sheet.py`` (masks on images, chosen by ``case_choice.py`` and drawn by
``case_pictures.py``) and ``distributions.py`` (charts). ``augmentation_sheet.py`` draws the picture
of ``preview``.
"""
