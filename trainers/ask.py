"""Ask an exported SavedModel about a single DICOM slice, as a client of TF Serving would."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from trainers.asking import ask

    for line in ask(Path(FLAGS.model), Path(FLAGS.input), FLAGS.picture):
        print(line)
    return 0


def _define_flags() -> None:
    flags.DEFINE_string("model", "saved_models/liver/1", "Version folder of the SavedModel.")
    flags.DEFINE_string("input", None, "A DICOM slice.", required=True)
    flags.DEFINE_string("picture", None, "PNG to draw the answer to.")


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)
