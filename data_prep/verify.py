"""Read a data set as the converter would, write nothing, and print what it holds.

Prints a fingerprint, what is odd, and every file that would be refused, with the remedy. Ends with
status 1 if anything is refused.
"""

from __future__ import annotations

import secrets

from absl import app, flags

from data_prep import build_tfrecords

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}: all arguments are flags, --name=value")
    from tqdm import tqdm

    from data_prep.fingerprint import facts_of_case, sum_of
    from data_prep.fingerprint_text import cautions_text, fingerprint_text, refusals_text
    from data_prep.processes import in_processes
    from liver_tf.refusals import Refusal

    # Pseudonyms tell cases apart here and are not shown: a key for this run will do.
    tasks, refusals, label_set = build_tfrecords.find_cases(secrets.token_bytes(32))
    read = in_processes(facts_of_case, tasks, FLAGS.workers)
    parts = []
    try:
        parts.extend(tqdm(read, total=len(tasks), desc="verify", unit="case"))
    except Refusal as refusal:
        refusals = [*refusals, refusal]
    facts = sum_of(parts, refusals)
    print(fingerprint_text(facts, label_set))
    print(f"\n{cautions_text(facts)}\n\n{refusals_text(facts)}")
    return 1 if facts.refusals else 0


if __name__ == "__main__":
    build_tfrecords.define_source_flags()
    flags.adopt_module_key_flags(build_tfrecords)  # --help shows them as this command's own
    app.run(main)
