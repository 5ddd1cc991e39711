"""Codes of the tissue map: which organ or tissue each pixel of a phantom belongs to.

A tissue map contains the labels: those of lesions are ``FIRST_LESION`` and above, and the liver
includes its vessels. Images are drawn from tissue maps in training (``pipeline.drawing``).
"""

from enum import IntEnum

import numpy as np


class Tissue(IntEnum):
    """Organs and tissues by code. New ones are added before ``FIRST_LESION``."""

    AIR = 0
    LIVER = 1
    HEPATIC_VEIN = 2
    PORTAL_BRANCH = 3
    PORTAL_VEIN = 4
    CAVA = 5
    AORTA = 6
    BILE = 7
    SPLEEN = 8
    KIDNEY_CORTEX = 9
    KIDNEY_MEDULLA = 10
    PANCREAS = 11
    GUT_WALL = 12
    STOMACH_CONTENT = 13
    BOWEL_FLUID = 14
    STOOL = 15
    GAS = 16
    HEART_MUSCLE = 17
    HEART_BLOOD = 18
    LUNG = 19
    LUNG_VESSEL = 20
    MUSCLE = 21
    FAT = 22
    CORTICAL_BONE = 23
    MARROW = 24
    DISC = 25
    SKIN = 26
    TABLE = 27
    ASCITES = 28


#: Liver without lesions: parenchyma and the vessels inside it.
IN_LIVER = (Tissue.LIVER, Tissue.HEPATIC_VEIN, Tissue.PORTAL_BRANCH)
#: Code of a lesion with label 2; label 3 is the next, and so on.
FIRST_LESION = 32
#: Number of codes, with room for lesions.
CODES = 64


def labels_of_codes() -> np.ndarray:
    """uint8 [CODES]: label of each code, 0 background, 1 liver, 2 and above lesions."""
    labels = np.zeros(CODES, np.uint8)
    labels[list(IN_LIVER)] = 1
    labels[FIRST_LESION:] = np.arange(2, 2 + CODES - FIRST_LESION)
    return labels


def with_labels(tissues: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The tissue map, corrected so that ``labels_of_codes`` gives ``labels`` at every pixel.

    Edges of painted organs and of labels differ by less than a pixel. Parenchyma outside the label
    becomes fat, other tissue inside it parenchyma.
    """
    liver = np.isin(tissues, IN_LIVER)
    fixed = np.where(liver & (labels == 0), np.uint8(Tissue.FAT), tissues)
    fixed = np.where(~liver & (labels == 1), np.uint8(Tissue.LIVER), fixed)
    return np.where(labels > 1, labels + np.uint8(FIRST_LESION - 2), fixed).astype(np.uint8)
