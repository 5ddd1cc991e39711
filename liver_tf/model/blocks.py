"""The names of the U-Net's blocks, and how a protocol's line names them. Needs no TensorFlow.

Every layer's name starts with its block's name and ``_``. Freezing, transfer and logs identify
layers by block only.
"""

from __future__ import annotations

import re

LEVELS = 5
ENCODER = tuple(f"enc{level}" for level in range(1, LEVELS + 1))
DECODER = tuple(f"dec{level}" for level in range(LEVELS - 1, 0, -1))
HEAD = "head"
BLOCKS = (*ENCODER, *DECODER, HEAD)

#: What batch normalisation does in released blocks; a fixed block always keeps everything.
#: ``update``: normalises by the batch and moves its statistics towards it. ``freeze_statistics``:
#: normalises by its statistics, which stay; scale and offset learn. ``inference``: nothing learns.
NORM_POLICIES = ("update", "freeze_statistics", "inference")

#: Numbers in which blocks compute. Weights, logits and the loss are float32 in all of them.
HALF_PRECISIONS = ("float16", "bfloat16")
PRECISIONS = ("float32", *HALF_PRECISIONS)


def parse_blocks(text: str) -> tuple[str, ...]:
    """Blocks named in a protocol's line: ``none``, ``all``, ``enc1,enc2``, ``enc1-enc3,dec4``.

    A range runs in the order of ``BLOCKS``. Returns them in that order, each once. Raises
    ``ValueError`` for a name that matches no block: a misspelt line must not train silently.
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
        raise ValueError(
            f"blocks {text!r}: no block is called {name!r}; there are none, all, "
            f"{', '.join(BLOCKS)}"
        )
    return BLOCKS.index(name)


def short(blocks: tuple[str, ...]) -> str:
    """Blocks as ranges, the way they are written in a flag file: ``enc1-enc4,head``."""
    if not blocks:
        return "none"
    places = [BLOCKS.index(block) for block in blocks]
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ",".join(
        BLOCKS[first] if first == last else f"{BLOCKS[first]}-{BLOCKS[last]}"
        for first, last in runs
    )


def block_of(layer_name: str) -> str | None:
    """The block a layer belongs to, or None for the input; ``ValueError`` for a stray layer."""
    if layer_name == "image":
        return None
    block = layer_name.split("_", 1)[0]
    if block not in BLOCKS:
        raise ValueError(f"layer {layer_name!r} belongs to no block of {', '.join(BLOCKS)}")
    return block
