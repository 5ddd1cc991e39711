"""Slices, file pairs and an HTML parser for tests of the verify page."""

from __future__ import annotations

import base64
import io
import os
from html.parser import HTMLParser
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from skimage.draw import polygon2mask

from liver_tf.conversion.cases import LabelledSlice
from tests.builders.phantom_sets import ROOT

CANARY = "CANARY"
REAL = Path(os.environ.get("LIVER_TF_REAL_DATA", ROOT.parent / "shared" / "data")) / "chaos_ct3"


class Page(HTMLParser):
    """Parse a page, fail on unbalanced tags, and collect its attributes and text."""

    VOID = ("meta", "link", "input", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def assert_self_contained(text: str) -> Page:
    page = Page(text)
    addresses = [value for name, value in page.attributes if name in ("src", "href")]
    assert addresses
    assert all(value.startswith(("data:", "#")) for value in addresses)
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert not {"script", "iframe", "object", "embed"} & set(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    return page


def write_pair(folder, number, hu, labels, affine):
    folder.mkdir(exist_ok=True)
    for name, data in (("volume", hu), ("segmentation", labels)):
        nibabel.save(nibabel.Nifti1Image(data, affine), folder / f"{name}-{number}.nii.gz")


def body_slice(mirror=None, spacing_mm=(0.8, 0.8)) -> LabelledSlice:
    """A body with a liver of 110 HU on the left of the image; the mask may be mirrored."""
    hu = np.full((120, 160), -1000, np.int16)
    hu[10:110, 10:150] = -90
    hu[20:80, 20:75] = 110
    hu[30:70, 90:115], hu[30:70, 120:140] = -900, 130  # gas in the stomach, spleen
    hu[85:105, 70:90] = 500
    labels = np.zeros(hu.shape, np.uint8)
    labels[20:80, 20:75] = 1
    labels[30:45, 30:50] = 3
    hu[30:45, 30:50] = 170
    if mirror is not None:
        labels = np.flip(labels, mirror)
    return LabelledSlice(0, hu, labels, spacing_mm, "", 5.0)


def decode(picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.jpeg))))


def pixels_inside(path: str, shape, units_per_pixel) -> np.ndarray:
    """Mask of the pixels whose centres lie inside a closed path."""
    mask = np.zeros(shape, bool)
    for part in path.split("Z")[:-1]:
        points = [pair.split() for pair in part.strip().removeprefix("M").split("L")]
        points = np.array(points, float)[:, ::-1] / units_per_pixel - 0.5
        mask ^= polygon2mask(shape, points)
    return mask
