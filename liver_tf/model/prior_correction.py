"""Correction of a network for the class weights of its training. Needs no TensorFlow.

A network trained with class weights w gives softmax(logits), in which class c is w_c times too
frequent (up to a common factor). Subtracting log(w_c) from the logits corrects this (Saerens,
Latinne, Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities",
Neural Computation 2002).
"""

from collections.abc import Sequence

import numpy as np

#: Correction of a class of weight 0: finite, so that no executor computes inf - inf.
_NEVER = -1e30


def prior_correction(class_weights: Sequence[float]) -> np.ndarray:
    """What is added to the logits, float32 [classes].

    A class of weight 0 had no pixel in the training data, so its logit is meaningless: it becomes
    impossible.
    """
    weights = np.asarray(class_weights, np.float64)
    with np.errstate(divide="ignore"):
        return np.where(weights > 0, -np.log(weights), _NEVER).astype(np.float32)


def prior_shift(before: Sequence[float], after: Sequence[float]) -> np.ndarray:
    """What logits learned with class weights ``before`` lack under ``after``, float64 [classes].

    With it added, ``prior_correction(after)`` gives what ``prior_correction(before)`` gave without.
    0 for a class of weight 0, before or after: its logit carries no information.
    """
    old, new = np.asarray(before, np.float64), np.asarray(after, np.float64)
    both = (old > 0) & (new > 0)
    return np.log(np.where(both, new, 1.0) / np.where(both, old, 1.0))
