"""Export the cascade as a SavedModel for TensorFlow Serving and OpenVINO Model Server."""

import hashlib
import json
import os
import re
from pathlib import Path

import tensorflow as tf

from liver_tf import __version__, atomic_files, checksums
from liver_tf.disk_full import tensorflow_write_errors, write_refusal
from liver_tf.export.model_card import model_card
from liver_tf.export.signatures import signatures_of
from liver_tf.export.warmup_requests import write_warmup
from liver_tf.extras import install_extra
from liver_tf.folder_lock import held_alone
from liver_tf.inference.cascade import Cascade
from liver_tf.inference.roi_box import NOMINAL_SPACING_MM
from liver_tf.refusals import Refusal

#: Files beside the graph: ``model.json`` states labels, networks and provenance.
EXTRA, MEANING, CARD = "assets.extra", "model.json", "model_card.md"

#: Versions are 64-bit integers, and 01 would be version 1.
_VERSION = re.compile("[1-9][0-9]{0,17}")


def write_saved_model(
    cascade: Cascade,
    output: Path,
    provenance: dict,
    measures: dict | None = None,
    *,
    found_as_uint8: bool = False,
    type_threshold: float | None = None,
) -> list[str]:
    """Write the version folder of a SavedModel, atomically.

    Args:
      output: The version folder, such as ``saved_models/liver/1``.
      provenance: Stored in ``model.json``; see ``model_card.provenance_of``.
      measures: For the model card; see ``model_card.measures_of``.
      found_as_uint8, type_threshold: See ``signatures_of``.

    Returns:
      Notes on what was left out, for the terminal.

    Raises:
      Refusal: ``version-name``; ``version-exists``, because a version that may be served is never
        overwritten; ``output-busy`` if another export writes to the same folder;
        ``disk-full``, ``output-unwritable``.
    """
    if not _VERSION.fullmatch(output.name):
        raise Refusal(
            "version-name",
            output,
            expected="a version number as the last part of the path: an integer from 1 without "
            "leading zeros",
            found=f"{output.name!r}",
            remedy="Use a path such as --output=saved_models/liver/1.",
        )
    _refuse_existing(output)
    with held_alone(output.parent):
        _refuse_existing(output)
        try:
            with tensorflow_write_errors():
                return _export(
                    *(cascade, output, provenance, measures, found_as_uint8, type_threshold)
                )
        except OSError as error:
            _refuse_existing(output)  # file systems without locks
            raise write_refusal(output, error) from error


def _refuse_existing(output: Path) -> None:
    if os.path.lexists(output):
        raise Refusal(
            "version-exists",
            output,
            expected="a version that does not exist",
            found="an existing one",
            remedy="Use the next version number.",
        )


def _export(
    cascade: Cascade,
    output: Path,
    provenance: dict,
    measures: dict | None,
    found_as_uint8: bool,
    type_threshold: float | None,
) -> list[str]:
    left_out = []
    with atomic_files.atomic_folder(output) as partial:
        # Weights are constants of the signatures, so the module itself is empty.
        meaning = _meaning(cascade, provenance)
        number = _model_id(cascade, meaning)
        signatures = signatures_of(
            cascade.with_constants(),
            found_as_uint8=found_as_uint8,
            model_id=number,
            type_threshold=type_threshold,
        )
        tf.saved_model.save(tf.Module(), str(partial), signatures=signatures)
        extra = partial / EXTRA
        extra.mkdir()
        meaning["found_outputs"] = "uint8" if found_as_uint8 else "bool"
        meaning["model_id"] = number
        if type_threshold is not None:
            meaning["volume_labels"] = list(cascade.label_set.with_indeterminate().classes)
            meaning["type_threshold"] = type_threshold
        atomic_files.write_json(extra / MEANING, meaning)
        atomic_files.write_text(extra / CARD, model_card(meaning, measures))
        if not write_warmup(extra, output.parent.name):
            left_out.append(f"no warm-up requests. For them: {install_extra('serving')}")
        files = [path for path in partial.rglob("*") if path.is_file()]
        # The card is for readers, who may add to it.
        covered = [path.relative_to(partial).as_posix() for path in files if path.name != CARD]
        checksums.write_sums(partial, covered)
        for path in files:
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
    return left_out


def _model_id(cascade: Cascade, meaning: dict) -> int:
    """31 bits of a hash of everything that decides an answer."""
    names = ("labels", "liver_network", "lesion_network", "outline_network")
    facts = {name: meaning[name] for name in names if name in meaning}
    digest = hashlib.sha256(json.dumps(facts | cascade.facts(), sort_keys=True).encode())
    for network in (cascade.liver.network, *cascade.roi_networks):
        for weight in network.model.weights:
            digest.update(weight.numpy().tobytes())
    return int.from_bytes(digest.digest()[:4]) >> 1


def _meaning(cascade: Cascade, provenance: dict) -> dict:
    outline = cascade.outline
    return {
        "labels": list(cascade.label_set.classes),
        "rows": "front to back",
        "columns": "from the patient's right to the left",
        "spacing_unknown": f"give 0; the ROI's margin is then taken at {NOMINAL_SPACING_MM} mm",
        "liver_network": cascade.liver.network.description.to_json(),
        "lesion_network": cascade.lesion_network.description.to_json(),
        **({"outline_network": outline.description.to_json()} if outline else {}),
        **cascade.facts(),
        "trained_on": cascade.trained_on.to_json(),
        "liver_tf": __version__,
        "tensorflow": tf.__version__,
        "provenance": provenance,
    }
