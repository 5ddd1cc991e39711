"""The outputs of ``serving_default`` as arrays of their dtypes, from whatever a server sent.

What a server sends is input: nothing is converted that would change its meaning, and an answer
longer than the request can have is not read.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from liver_tf.labels import MAX_CLASSES
from liver_tf.refusals import Refusal

#: Other outputs are ignored.
DTYPES: dict[str, type] = {
    "label_map": np.uint8,
    "found_liver": bool,
    "found_lesion": bool,
    "diagnosis": np.int32,
    "diagnosis_probability": np.float32,
    "liver_area_mm2": np.float32,
    "lesion_area_mm2": np.float32,
    "model_id": np.int32,
}

#: Bytes of text for a pixel of the label map, and for the other outputs of a slice.
_PIXEL_BYTES, _SLICE_BYTES = 16, 2**16


def typed_answer(answer: Any) -> dict[str, np.ndarray]:
    """The known outputs by name; ``found_*``, which may be 0 or 1, as bool.

    Raises:
      Refusal: ``answer-invalid``: not a table of arrays, or values that the dtype cannot hold, such
        as the text ``"false"`` for a bool.
    """
    if not isinstance(answer, dict):
        raise invalid_answer(["all outputs"])
    return {name: _typed(name, answer[name]) for name in DTYPES if name in answer}


def _typed(name: str, value: Any) -> np.ndarray:
    dtype = np.dtype(DTYPES[name])
    of_bool = dtype.kind == "b"
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):  # lists of different lengths; integers beyond 64 bits
        raise invalid_answer([name]) from None
    if dtype.kind == "f":
        fits = array.dtype.kind in "iuf"
    else:
        limits = np.iinfo(DTYPES[name]) if not of_bool else None
        low, high = (limits.min, limits.max) if limits else (0, 1)
        fits = array.dtype.kind in ("biu" if of_bool else "iu") and bool(array.size)
        fits = fits and low <= array.min() and array.max() <= high
    if not fits:
        raise invalid_answer([name])
    with np.errstate(over="ignore"):  # numbers beyond the dtype become infinite
        return array.astype(dtype, copy=False)


def largest_text(shape: tuple[int, ...]) -> int:
    """Bytes of the longest JSON answer for slices [batch, rows, columns]."""
    return _SLICE_BYTES * shape[0] + _PIXEL_BYTES * int(np.prod(shape))


def refuse_too_many_values(text: bytes, shape: tuple[int, ...]) -> None:
    """Refuse JSON with more lists or values than an answer has, before it takes memory."""
    batch, rows, _ = shape
    lists = text.count(b"[") + text.count(b"{")
    values = text.count(b",") + text.count(b":")
    of_slice = 2 * MAX_CLASSES + len(DTYPES) + 64
    if lists > batch * (rows + 4) + 64 or values > np.prod(shape) + batch * (rows + of_slice) + 64:
        raise invalid_answer(["all outputs: more values than were asked for"])


def largest_tensor(shape: tuple[int, ...]) -> int:
    """Elements of the largest output for slices [batch, rows, columns]."""
    return max(int(np.prod(shape)), shape[0] * MAX_CLASSES)


def invalid_answer(names: Iterable[str]) -> Refusal:
    """``answer-invalid``, with the outputs that cannot be used."""
    return Refusal(
        "answer-invalid",
        None,
        expected="the outputs of the model in --model, in their shapes and ranges",
        found=f"other values in {', '.join(names)}",
        remedy="Check that the server serves this model; compare their versions.",
    )
