"""Options of the loss. Needs no TensorFlow."""

from dataclasses import dataclass

from liver_tf.options import Options, option

#: How class weights depend on the classes' shares of pixels.
INVERSE, SQRT, NONE = CLASS_WEIGHTS = ("inverse", "sqrt", "none")


@dataclass(frozen=True)
class LossSettings(Options):
    """The loss: weighted cross-entropy, optionally soft Dice and the types within lesions."""

    class_weights: str = option(
        INVERSE,
        "With --balance=loss: class weights of the cross-entropy. inverse: inversely proportional "
        "to the class's share of pixels, as in the paper. sqrt: to the square root of that share. "
        "none: equal.",
        choices=CLASS_WEIGHTS,
    )
    dice_weight: float = option(
        0.0,
        "Weight of a soft Dice loss, lesion against the rest (liver network: liver against the "
        "rest), added to the cross-entropy.",
        low=0,
    )
    type_weight: float = option(
        0.0,
        "Weight of the cross-entropy of the lesion types within true lesions, averaged over the "
        "slices with lesion, added to the loss. Without it the types count for as little as the "
        "lesions have pixels.",
        low=0,
    )
