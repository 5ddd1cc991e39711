"""Decision rules: how the class probabilities of a pixel become its label. Needs no TensorFlow.

A network trained with class weights w gives softmax(logits), in which class c is w_c times too
frequent (up to a common factor). Subtracting log(w_c) from the logits corrects this (Saerens,
Latinne, Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities",
Neural Computation 2002).
"""

from collections.abc import Sequence

import numpy as np

from liver_tf.options import option

#: ``argmax``: the most likely class (the paper). ``prior_corrected``: the same after the
#: correction. ``threshold``: lesion where the probabilities of all types sum to at least a
#: threshold, of its most likely type; elsewhere the likelier of background and liver.
ARGMAX, PRIOR_CORRECTED, THRESHOLD = DECISIONS = ("argmax", "prior_corrected", "threshold")

#: Correction of a class of weight 0: finite, so that no executor computes inf - inf.
_NEVER = -1e30


def decision_option() -> str | None:
    """The option ``--decision`` of commands that apply networks."""
    chosen: str | None = option(
        None,
        "Rule that turns probabilities into labels. Default: the rule stored with the run by "
        "trainers.choose_postprocessing, argmax if there is none. If another rule than the stored "
        "one is given, the stored sizes are not applied.",
        choices=DECISIONS,
    )
    return chosen


def prior_correction(class_weights: Sequence[float]) -> np.ndarray:
    """What is added to the logits, float32 [classes].

    A class of weight 0 had no pixel in the training data, so its logit is meaningless: it becomes
    impossible.
    """
    weights = np.asarray(class_weights, np.float64)
    with np.errstate(divide="ignore"):
        return np.where(weights > 0, -np.log(weights), _NEVER).astype(np.float32)
