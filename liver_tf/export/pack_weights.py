"""Finished runs to the networks of the package: half precision, checksums, model cards.

The same runs give the same bytes. Kernels are stored as float16; biases and batch normalisation,
a thousandth of the weights, as float32.
"""

import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from liver_tf import atomic_files, checksums, run_files
from liver_tf.bundled_networks import LESION, LIVER, TYPED
from liver_tf.export.pack_settings import PackSettings
from liver_tf.folder_lock import held_alone
from liver_tf.inference import postprocessing
from liver_tf.labels import LITS
from liver_tf.model.description import Description, load_description
from liver_tf.model.weights_file import load_arrays, save_arrays
from liver_tf.records.training_data_file import PHANTOMS_ONLY
from liver_tf.refusals import Refusal
from liver_tf.results.training_history import read_cycles
from liver_tf.trained_on import PHANTOM, TrainedOn

CARD = "model_card.md"
_TEMPLATE = Path(__file__).with_name("weights_card.md.jinja")
#: Entries of ``run.json`` on the card; others are long or of no use to a reader.
_ON_CARD = ("seed", "protocol", "augmentation", "sampling", "task", "computation", "versions")


def pack_weights(settings: PackSettings) -> list[Path]:
    """Write the networks of runs to the package; returns their folders.

    Raises:
      Refusal: As ``load_description``, ``load_arrays`` and ``postprocessing.load``;
        ``pack-other-network`` for a network with other classes, ``pack-not-phantom`` for one that
        learned from patients, ``pack-half-precision`` if a weight exceeds float16; ``output-busy``.
    """
    notes = settings.notes.read_text(encoding="utf-8") if settings.notes else ""
    facts = {
        "command": settings.command,
        "commit": settings.commit or _commit(),
        "notes": notes.strip(),
    }
    described = {
        name: _description(name, run, settings.assume_phantom)
        for name, run in settings.runs().items()
    }
    return [
        _pack(name, run, described[name], settings, facts) for name, run in settings.runs().items()
    ]


def _description(name: str, run: Path, assume_phantom: bool) -> Description:
    description = load_description(run)
    label_set = description.label_set
    fits = {
        LIVER: description.kind == "liver",
        LESION: description.kind == "lesion" and label_set.classes == LITS.classes,
        TYPED: description.kind == "lesion" and label_set.has_types,
    }
    if not fits[name]:
        raise Refusal(
            "pack-other-network",
            run,
            expected=f"a run for the {name} network of the package",
            found=f"a {description.kind} network with {', '.join(label_set.classes)}",
            remedy="Check --liver, --lesion and --typed.",
        )
    if description.trained_on is None and assume_phantom:
        split = run_files.read_identity(run)["split"]
        cases = len({*split["training"], *split["validation"]})
        assumed = TrainedOn.of_set(PHANTOM, cases, typed=label_set.has_types)
        description = replace(description, trained_on=assumed)
    if description.trained_on is None or description.trained_on.kind != PHANTOM:
        stated = description.trained_on
        raise Refusal(
            "pack-not-phantom",
            run,
            expected="a network that learned from phantoms only",
            found=f"{stated.kind} training data" if stated else "no statement in model.json",
            remedy="Train it on phantoms. For a run of an earlier version use --assume_phantom.",
        )
    return description


def _pack(
    name: str, run: Path, description: Description, settings: PackSettings, facts: dict[str, Any]
) -> Path:
    output = settings.output / name
    arrays = half_precision(load_arrays(run / run_files.WEIGHTS, finite=True), run)
    how = postprocessing.load(run)
    if name == LIVER:
        description = replace(description, liver_rule=settings.liver_rule())
        decision = description.liver_rule.text()
    else:
        how = replace(how, **settings.postprocessing())
        decision = how.text()
    with held_alone(output):
        # Until the list is written again, every file that differs is refused.
        save_arrays(output / run_files.WEIGHTS, arrays, compressed=True)
        description.save(output)
        atomic_files.write_json(output / run_files.TRAINING_DATA, PHANTOMS_ONLY)
        (output / run_files.POSTPROCESSING).unlink(missing_ok=True)
        names = [run_files.WEIGHTS, run_files.DESCRIPTION, run_files.TRAINING_DATA]
        if how != postprocessing.NOTHING:
            postprocessing.save(output, how, {})
            names.append(run_files.POSTPROCESSING)
        (output / checksums.SUMS).unlink(missing_ok=True)
        atomic_files.write_text(output / CARD, _card(name, run, description, decision, facts))
        checksums.write_sums(output, names)
    return output


def half_precision(arrays: dict[str, np.ndarray], run: Path) -> dict[str, np.ndarray]:
    """Kernels as float16, vectors as they are; refuses a kernel that float16 cannot hold."""
    halves = {}
    for name, array in arrays.items():
        with np.errstate(over="ignore"):
            halves[name] = array.astype(np.float16) if array.ndim > 1 else array
        if not np.isfinite(halves[name]).all():
            raise Refusal(
                "pack-half-precision",
                run,
                expected=f"weights of at most {np.finfo(np.float16).max:.0f}",
                found=f"{np.abs(array).max():g} in {name}",
                remedy="Train with a lower learning rate.",
            )
    return halves


def _card(
    name: str, run: Path, description: Description, decision: str, facts: dict[str, Any]
) -> str:
    identity = run_files.read_identity(run)
    cycles = read_cycles(run)
    epoch = cycles[-1].best_epoch - 1 if cycles else 0
    values = cycles[-1].epochs[epoch] if cycles and cycles[-1].epochs else {}
    template = jinja2.Template(
        _TEMPLATE.read_text(encoding="utf-8"),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return template.render(
        name=name,
        model=description,
        trained_on=asdict(description.trained_on),
        ranges=description.trained_on.ranges and description.trained_on.ranges.text(),
        unvalidated=description.trained_on.types_unvalidated,
        decision=decision,
        split={part: len(cases) for part, cases in identity["split"].items()},
        dice={
            key.removeprefix("val_dice_"): value
            for key, value in values.items()
            if key.startswith("val_dice_")
        },
        settings=json.dumps({key: identity[key] for key in _ON_CARD if key in identity}, indent=1),
        **facts,
    )


def _commit() -> str:
    """The commit of the checkout that holds this program; ``unknown`` without one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
