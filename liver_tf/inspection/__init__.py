"""What a data set contains, checked before anything is trained on it.

``verify_data_set.verify`` reads a data set. ``fingerprint.py`` gathers the facts of each case,
``mask_checks.py`` finds misplaced masks, ``fingerprint_text.py`` prints both. The page of
``verify --html`` is ``verify_page.py``, with masks on images (``contact_sheet.py``,
``case_pictures.py``, ``case_choice.py``) and charts (``distributions.py``). ``leak_search.py``
compares record sets; ``augmentation_preview.py`` draws augmented slices.
"""
