"""Number formats in which the blocks of a network compute. Needs no TensorFlow.

Weights, normalisation statistics, logits, softmax and loss are float32 in every format.
"""

from typing import Any

from liver_tf.options import option

FLOAT32, BFLOAT16, FLOAT16 = PRECISIONS = ("float32", "bfloat16", "float16")
#: Chosen for this machine by ``precision.choose_precision``.
AUTO = "auto"


def precision_option(default: str, help: str = "") -> Any:
    """The option ``--precision`` of commands in which a network computes."""
    return option(
        default,
        "Number format in which the blocks of networks compute. auto: bfloat16 for networks of at "
        "least 16 base filters if the processor has instructions for it and a short measurement "
        f"shows a gain; otherwise float32.{help and ' '}{help}",
        choices=(AUTO, *PRECISIONS),
    )
