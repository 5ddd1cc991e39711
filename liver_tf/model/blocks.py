"""The blocks of the U-Net by name, and the batch-normalisation policies. No TensorFlow.

Blocks in the order of the data: ``enc1`` ... ``enc5``, ``dec4`` ... ``dec1``, ``head``. Every layer
name starts with its block's name and ``_``; freezing, transfer and logs refer to blocks only.
"""

import re
from collections.abc import Sequence

LEVELS = 5
ENCODER = tuple(f"enc{level}" for level in range(1, LEVELS + 1))
DECODER = tuple(f"dec{level}" for level in range(LEVELS - 1, 0, -1))
HEAD = "head"
BLOCKS = (*ENCODER, *DECODER, HEAD)

#: Batch normalisation in trained blocks; in a frozen block nothing changes.
#: ``update``: normalise by the batch and update the moving statistics. ``freeze_statistics``:
#: normalise by the moving statistics, which stay fixed; scale and offset are trained.
#: ``inference``: nothing is trained.
NORM_POLICIES = ("update", "freeze_statistics", "inference")


def parse_blocks(text: str) -> tuple[str, ...]:
    """Parse ``none``, ``all`` or a list of blocks (``enc1-enc3,dec4``), in the order of ``BLOCKS``.

    Raises:
      ValueError: A name matches no block, or a range is in reverse order.
    """
    text = text.strip()
    if text == "none":
        return ()
    if text == "all":
        return BLOCKS
    chosen: set[str] = set()
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\w+)(?:\s*-\s*(\w+))?\s*", part)
        if ends is None:
            raise ValueError(f"blocks {text!r}: cannot read {part!r}; write e.g. enc1-enc3,dec4")
        first = _position(ends[1], text)
        last = _position(ends[2] or ends[1], text)
        if last < first:
            raise ValueError(
                f"blocks {text!r}: {part.strip()} runs backwards; the order is {', '.join(BLOCKS)}"
            )
        chosen.update(BLOCKS[first : last + 1])
    return tuple(block for block in BLOCKS if block in chosen)


def _position(name: str, text: str) -> int:
    if name not in BLOCKS:
        place = "" if name == text else f"blocks {text!r}: "
        raise ValueError(f"{place}there is no block {name!r}; use none, all, {', '.join(BLOCKS)}")
    return BLOCKS.index(name)


def format_blocks(blocks: Sequence[str]) -> str:
    """Blocks as ranges, as ``parse_blocks`` reads them: ``enc1-enc4,head``; ``none``."""
    if not blocks:
        return "none"
    ranges: list[list[int]] = []
    for position in map(BLOCKS.index, blocks):
        if ranges and position == ranges[-1][1] + 1:
            ranges[-1][1] = position
        else:
            ranges.append([position, position])
    return ",".join(
        BLOCKS[first] if first == last else f"{BLOCKS[first]}-{BLOCKS[last]}"
        for first, last in ranges
    )


def block_of(layer_name: str) -> str | None:
    """The block of a layer, or None for the input layer.

    Raises:
      ValueError: The layer belongs to no block.
    """
    if layer_name == "image":
        return None
    block = layer_name.split("_", 1)[0]
    if block not in BLOCKS:
        raise ValueError(f"layer {layer_name!r} belongs to no block of {', '.join(BLOCKS)}")
    return block
