"""Flip bits in every file that decides an answer: it is refused, or nothing changes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from liver_tf.inference import postprocessing
from liver_tf.inference.trained_network import TrainedNetwork
from liver_tf.records.folds import load_folds
from liver_tf.records.manifest import load_manifest
from liver_tf.records.shard_reader import check_shards
from liver_tf.refusals import Refusal
from liver_tf.serving.model_clients import check_model

#: Reads what a folder answers with; equal values mean the same answer.
Reader = Callable[[Path], Any]


def read_run(run: Path) -> Any:
    """Weights, description and post-processing of a run."""
    network = TrainedNetwork.of_run(run, "lesion", precision="float32")
    how = postprocessing.of_runs([run])
    weights = [value.tobytes() for value in network.model.get_weights()]
    return network.description, how, weights


def read_model(version: Path) -> Any:
    """A SavedModel: every file but the card is covered by the checksum."""
    check_model(version)
    return {p.relative_to(version).as_posix(): p.read_bytes() for p in _files(version)}


def read_records(records: Path) -> Any:
    """Manifest, folds and shards."""
    manifest = load_manifest(records)
    check_shards(records, manifest)
    return manifest, load_folds(records / "folds.json", manifest)


def campaign(folder: Path, read: Reader, count: int, seed: int) -> tuple[Counter, list[str]]:
    """Flip 1 to 100 bits of a random file, ``count`` times; every file is damaged in turn.

    Returns:
      The outcomes by reason code, and what went wrong.
    """
    good = read(folder)
    files = _files(folder)
    outcomes: Counter = Counter()
    wrong = []
    for number in range(count):
        generator = random.Random(f"{seed} {number}")
        path = files[number % len(files)]
        data = path.read_bytes()
        damaged = bytearray(data)
        for _ in range(generator.choice((1, 2, 10, 100))):
            damaged[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            if read(folder) == good:
                outcomes["same"] += 1
            else:
                wrong.append(f"{path.name}, damage {number}: another answer, not refused")
        except Refusal as refusal:
            outcomes[refusal.code] += 1
        except Exception as error:
            wrong.append(f"{path.name}, damage {number}: {type(error).__name__}: {error}")
        finally:
            path.write_bytes(data)
    return outcomes, wrong


def _files(folder: Path) -> list[Path]:
    """Files that decide an answer: not the card, nor tables for readers."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_size and path.suffix not in (".md", ".csv")
    )
