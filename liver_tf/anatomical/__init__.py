"""Anatomical data augmentation: labels for the unlabelled neighbours of annotated slices.

Source: Ben-Cohen et al., "Anatomical Data Augmentation For CNN based Pixel-wise Classification",
ISBI 2018, arXiv 1801.02261. ``label_rule.py`` decides what is kept of a network's labels,
``extended_set.py`` makes the record set, ``label_quality.py`` compares made labels with true ones,
``review_page.py`` shows them to a person. Options: ``augment_settings.py``.
"""
