"""The name of a file's format, for the refusal of one that is not read."""

import re
from pathlib import Path

from liver_tf.ct.input_file import read_start

#: An element of group 2 or 8, with or without a value representation, and no preamble of PS3.10.
_NO_PREAMBLE = re.compile(rb".?[\x02\x08]\x00.\x00(?:[A-Z]{2}|.\x00\x00\x00)", re.DOTALL)
_BY_START = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive: unpack it"),
    (b"\x89HDF", "an HDF5 file (MINC?)"),
    (b"NRRD000", "an NRRD file"),
)


def format_of(path: Path) -> str:
    """What a file is, such as ``an Analyze 7.5 header``; empty if it is not recognised."""
    start, name = read_start(path, 352), path.name.lower()
    for signature, text in _BY_START:
        if start.startswith(signature):
            return text
    if 348 in (int.from_bytes(start[:4], order) for order in ("little", "big")):
        if start[344:347] == b"ni1":
            return "a NIfTI file of two parts (.hdr and .img)"
        if start[344:346] != b"n+":
            return "an Analyze 7.5 header, which does not tell left from right"
    if name.endswith((".mgz", ".mgh")):
        return "a FreeSurfer volume (MGH)"
    if name.endswith((".par", ".rec")) or b"DATA DESCRIPTION FILE" in start:
        return "a Philips PAR/REC file"
    if name.endswith((".hdr", ".img")):
        return "a part of an Analyze 7.5 or NIfTI pair"
    if _NO_PREAMBLE.match(start):
        return "a DICOM data set without preamble and prefix, as some old archives store it"
    return ""
