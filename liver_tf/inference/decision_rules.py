"""Decision rules: how the class probabilities of a pixel become its label. Needs no TensorFlow."""

from liver_tf.options import option

#: ``argmax``: the most likely class (the paper). ``prior_corrected``: the same after the
#: correction. ``threshold``: lesion where the probabilities of all types sum to at least a
#: threshold, of its most likely type; elsewhere the likelier of background and liver.
ARGMAX, PRIOR_CORRECTED, THRESHOLD = DECISIONS = ("argmax", "prior_corrected", "threshold")


def decision_option() -> str | None:
    """The option ``--decision`` of commands that apply networks."""
    chosen: str | None = option(
        None,
        "Rule that turns probabilities into labels. Default: the rule stored with the run by "
        "liver-tf choose_postprocessing, argmax if there is none. If another rule than the stored "
        "one is given, the stored sizes are not applied.",
        choices=DECISIONS,
    )
    return chosen
