"""The size that a compressed image states in its own header.

A decoder takes the size from there, not from the DICOM header: damaged data can make it allocate
any amount of memory, so the size is checked before decoding.
"""

_JPEG_START, _JPEG_2000_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
#: Start of frame: ITU-T T.81 table B.1 (C4, C8 and CC mean something else), F7 of JPEG-LS (T.87).
_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def coded_size(frame: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, components) of a JPEG, JPEG-LS or JPEG 2000 codestream, or None."""
    if frame.startswith(_JPEG_START):
        return _jpeg_size(frame)
    # Some writers put the boxes of a JP2 file before the codestream.
    at = frame.find(_JPEG_2000_START)
    if at < 0 or len(frame) < at + 42:
        return None
    # SIZ (ITU-T T.800, A.5.1): the image lies in a grid between an offset and an end.
    right, bottom, left, top = (
        int.from_bytes(frame[at + place : at + place + 4]) for place in (8, 12, 16, 20)
    )
    return bottom - top, right - left, int.from_bytes(frame[at + 40 : at + 42])


def _jpeg_size(frame: bytes) -> tuple[int, int, int] | None:
    at = 2
    while at + 10 <= len(frame) and frame[at] == 0xFF:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4])
        if marker == 0xFF:  # padding before a marker
            at += 1
            continue
        if marker in _FRAME_MARKERS:
            rows, columns = (int.from_bytes(frame[at + k : at + k + 2]) for k in (5, 7))
            return rows, columns, frame[at + 9]
        at += 2 + length
    return None
