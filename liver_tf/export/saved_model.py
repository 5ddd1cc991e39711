"""The cascade as a SavedModel that TF Serving loads as it is."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path

import tensorflow as tf

from liver_tf import __version__, atomic_files
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.roi import NOMINAL_SPACING_MM
from liver_tf.labels import LIVER
from liver_tf.refusals import Refusal


class Servable(tf.Module):
    """The cascade behind a signature of named inputs and outputs."""

    def __init__(self, cascade: Cascade) -> None:
        super().__init__()
        self.cascade = cascade

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None], tf.float32, name="hu"),
            tf.TensorSpec([None, 2], tf.float32, name="spacing_mm"),
        ]
    )
    def serve(self, hu: tf.Tensor, spacing_mm: tf.Tensor) -> dict[str, tf.Tensor]:
        """Slices, each by itself.

        Args:
          hu: float32 [batch, rows, columns], Hounsfield units, canonical orientation.
          spacing_mm: float32 [batch, 2], (row, column); 0 where unknown.

        Returns:
          ``label_map`` uint8 [batch, rows, columns]; ``found_lesion`` bool [batch]; ``diagnosis``
          int32 [batch], the majority class among lesion pixels, 0 where there is none;
          ``diagnosis_probability`` float32 [batch, lesion types], the mean over lesion pixels of
          the types' probabilities, scaled to sum to one; ``liver_area_mm2`` and
          ``lesion_area_mm2`` float32 [batch], NaN where the spacing is unknown. NaN or infinite
          HU and an empty batch fail with ``InvalidArgumentError``.
        """
        finite = tf.debugging.Assert(
            tf.reduce_all(tf.math.is_finite(hu)), ["hu: expected finite Hounsfield units"]
        )
        some = tf.debugging.Assert(
            tf.size(hu) > 0, ["hu: expected at least one slice of at least one pixel"]
        )
        with tf.control_dependencies([finite, some]):
            hu = tf.identity(hu)
        outputs = self.cascade.slice_by_slice(hu, spacing_mm)
        labels = tf.cast(outputs["label_map"], tf.int32)
        known = tf.reduce_all(spacing_mm > 0.0, axis=1)
        pixel_mm2 = tf.where(known, tf.reduce_prod(spacing_mm, axis=1), float("nan"))
        classes = len(self.cascade.label_set)
        pixels = tf.reduce_sum(tf.one_hot(labels, classes), axis=[1, 2])
        lesion_pixels = pixels[:, LIVER + 1 :]
        found = tf.reduce_sum(lesion_pixels, axis=1) > 0.0
        majority = tf.argmax(lesion_pixels, axis=1, output_type=tf.int32) + LIVER + 1
        liver = tf.reduce_sum(tf.cast(outputs["liver"], tf.float32), axis=[1, 2])
        return {
            "label_map": outputs["label_map"],
            "found_lesion": found,
            "diagnosis": tf.where(found, majority, 0),
            "diagnosis_probability": outputs["type_probabilities"],
            "liver_area_mm2": liver * pixel_mm2,
            "lesion_area_mm2": tf.reduce_sum(lesion_pixels, axis=1) * pixel_mm2,
        }


def export(cascade: Cascade, output: Path, provenance: dict) -> None:
    """Write a SavedModel version folder whole: under a temporary name, then renamed.

    Args:
      output: the version's folder, e.g. ``saved_models/liver/1``.
      provenance: what should travel with the model: runs, fingerprints, measures.

    Raises ``Refusal`` where the version exists: a served version is never overwritten.
    """
    if not output.name.isdigit():
        raise Refusal(
            "version-name",
            output,
            expected="a whole number as the last part of the path (TF Serving's versions)",
            came=f"{output.name!r}",
            remedy="Write e.g. --output=saved_models/liver/1.",
        )
    if output.exists():
        raise Refusal(
            "version-exists",
            output,
            expected="a version that does not exist yet",
            came="a folder",
            remedy="Give the next number.",
        )
    servable = Servable(cascade)
    temporary = output.parent / f"{atomic_files.TEMPORARY_MARK}{output.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        tf.saved_model.save(
            servable, str(temporary), signatures={"serving_default": servable.serve}
        )
        extra = temporary / "assets.extra"
        extra.mkdir()
        atomic_files.write_json(extra / "model.json", _meaning(cascade, provenance))
        os.rename(temporary, output)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _meaning(cascade: Cascade, provenance: dict) -> dict:
    return {
        "labels": list(cascade.label_set.classes),
        "rows": "front to back",
        "columns": "from the patient's right to the left",
        "spacing_unknown": f"give 0; the ROI's margin is then taken at {NOMINAL_SPACING_MM} mm",
        "liver_network": asdict(cascade.liver.description),
        "lesion_network": asdict(cascade.lesion.description),
        "in_liver_only": cascade.inside_only,
        "postprocessing": asdict(cascade.how),
        "lesion_networks": len(cascade.lesions),
        "flips": cascade.lesion.flips,
        "liver_tf": __version__,
        "tensorflow": tf.__version__,
        "provenance": provenance,
    }
