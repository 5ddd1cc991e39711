"""Write a study folder like the trainers, with results of a random cohort instead of networks."""

import json
from dataclasses import replace

import numpy as np

from liver_tf.labels import LESION_TYPES
from liver_tf.measures.calibration import Temperature
from liver_tf.records.leakage import HashedCase, SplitPart
from liver_tf.records.training_data_file import save_training_data
from liver_tf.results.example_slices import crop_to_liver, pick_examples, save_examples
from liver_tf.results.run_results import RunResults
from liver_tf.results.stored_results import save_results
from liver_tf.run_files import INNER, TEST_FOLD

KEY = "0" * 16
FIXED = {"baseline": [[]], "hier_freeze": [[], ["enc1"], ["enc1", "enc2"]]}


def fold_name(fold, validation):
    return f"fold{fold}" + ("_validated_on_test" if validation == TEST_FOLD else "")


def write_run(study, protocol, fold=0, seed=0, validation=INNER, cycles=None):
    """Write a run with ``run.json`` and some finished cycles."""
    run = study / "finetune" / fold_name(fold, validation) / f"seed{seed}" / protocol
    run.mkdir(parents=True)
    fixed = FIXED.get(protocol, [[]])
    settings = {"learning_rate": 5e-5, "epochs": 80, "patience": 10, "batch_size": 1}
    settings |= {"norm": "update", "decay": 0.9, "decay_epochs": 2, "floor": 1e-8}
    identity = {
        "fold": fold,
        "seed": seed,
        "validation": validation,
        "data_fingerprint": "f" * 64,
        "pretrained_weights": "e" * 64,
        "split": {"test": [], "training": [], "validation": []},
        "augmentation": {"rotation_degrees": 15.0, "flip": 0.5},
        "task": {"mean_hu": 100.0 + fold},
        "architecture": {"image_size": 32, "base_filters": 2},
        "protocol": {
            "name": protocol,
            "start": "scratch" if protocol == "baseline" else "pretrained",
            "cycles": [{"fixed": names, "monitor": "val_loss", **settings} for names in fixed],
        },
        "versions": {"liver_tf": "0.1.0", "tensorflow": "2.21.0"},
    }
    (run / "run.json").write_text(json.dumps(identity))
    for number, blocks in enumerate(fixed[:cycles], 1):
        add_cycle(run, number, blocks, key=f"{fold}-{seed}-{number}-{blocks}")
    return run


def add_cycle(run, number, blocks=(), *, key="", epochs=3):
    """Write a finished cycle whose best epoch is the second."""
    folder = run / f"cycle{number}"
    folder.mkdir()
    summary = {
        "fixed": list(blocks),
        "monitor": "val_loss",
        "best_epoch": 2,
        "seconds": 10.0 * number,
        "machine": "Toy processor, 3 cores, Linux toy",
    }
    (folder / "cycle.json").write_text(json.dumps(summary))
    (folder / "key").write_text(key)
    lines = ["epoch,loss,val_loss,val_dice,val_dice_any_lesion"]
    lines += [
        f"{n},{2 / n / number},{1.5 / n / number},{0.1 * number + n / 100},0.2"
        for n in range(1, epochs + 1)
    ]
    (folder / "history.csv").write_text("\n".join(lines) + "\n")


def training_cases(fold, folds=2, patients=20):
    """Training data of the networks of a fold: the cases of the other folds."""
    others = [other for other in range(folds) if other != fold]
    return tuple(
        HashedCase(f"fold{other}-c{p:02}", f"fold{other}-p{p:02}", f"fold{other}-p{p:02}", ())
        for other in others
        for p in range(patients)
    )


def write_measured_run(
    study, cohort, protocol, quality, fold=0, seed=0, validation=INNER, **changes
):
    """Write a finished run with measures, example slices and its training data."""
    run = write_run(study, protocol, fold, seed, validation)
    (run / "weights.npz").write_bytes(b"weights")
    rows = [
        replace(
            result,
            patient=f"fold{fold}-{result.patient}",
            case=f"fold{fold}-c{result.patient[1:]}",
            fold=str(fold),
            seed=seed,
        )
        for result in cohort(quality)
    ]
    results = RunResults(
        protocol=protocol,
        fold=str(fold),
        seed=seed,
        part="test",
        validation=validation,
        label_set=LESION_TYPES,
        made_of={"records": "a" * 64, "weights": f"{protocol}{fold}{seed}", "program": "0.1.0"},
        results=tuple(rows),
        temperature=Temperature(1.4, "validation", 9, ("v1",), 0.9, 0.8),
    )
    results = replace(results, **changes)
    save_results(results, run)
    truth = np.zeros((40, 40), np.uint8)
    truth[10:30, 8:30], truth[14:20, 12:18] = 1, 2
    hu = np.where(truth == 1, 110, np.where(truth == 2, 10, -50)).astype(np.int16)
    examples = {
        rank: crop_to_liver(hu, truth, np.roll(truth, 1, axis=1), (1.5, 1.5), result)
        for rank, result in pick_examples(results.results).items()
    }
    save_examples(run, results, examples)
    save_training_data(run / "seen.json", (SplitPart("training", KEY, training_cases(fold)),))
    return run
