"""Look for patients and slices that record sets share, and for leaks across folds.

Without --folds_file every set is compared with every other, and within a set every patient with
the others. With it the parts of each fold are compared, and the other sets with all cases of the
first, as each is tested in some fold. Ends with status 1 if there is a leak.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}: all arguments are flags, --name=value")
    from liver_tf.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    from liver_tf.records.allowed_pairs import load_allowed
    from liver_tf.records.folds import load_folds
    from liver_tf.records.leakage import (
        KINDS,
        borders_of,
        find_leaks,
        key_cautions,
        part_of,
        parts_of_split,
        text_of,
    )
    from liver_tf.records.manifest import load_manifest
    from liver_tf.refusals import Refusal

    try:
        manifests = [load_manifest(folder) for folder in FLAGS.records]
        sets = [part_of(name, one) for name, one in zip(FLAGS.records, manifests, strict=True)]
        if FLAGS.folds_file is None:
            borders = list(itertools.combinations_with_replacement(sets, 2))
        else:
            splits = load_folds(Path(FLAGS.folds_file), manifests[0])
            borders = [(other, sets[0]) for other in sets[1:]]
            for number, split in enumerate(splits):
                borders += borders_of(parts_of_split(f"fold {number}", manifests[0], split))
        known = {case.case for part in sets for case in part.cases}
        allow_pairs = None if FLAGS.allow_pairs is None else Path(FLAGS.allow_pairs)
        leaks = find_leaks(borders, load_allowed(allow_pairs, known))
    except Refusal as refusal:
        print(refusal.text_with_path(), file=sys.stderr)
        return 1
    for caution in key_cautions(borders):
        print(f"caution: {caution}")
    for kind in KINDS:
        found = [leak for leak in leaks if leak.kind == kind]
        print(f"{kind}: {len(found)} pairs of cases")
        for leak in found:
            print(f"  {text_of(leak)}")
    return 1 if leaks else 0


def _define_flags() -> None:
    flags.DEFINE_multi_string(
        "records", None, "Folder of a record set; repeat for every set.", required=True
    )
    flags.DEFINE_string("folds_file", None, "Folds of the first set.")
    flags.DEFINE_string(
        "allow_pairs", None, "File of pairs of cases whose slices may be alike: two names a line."
    )


if __name__ == "__main__":
    _define_flags()
    app.run(main)
