"""Export a fine-tuned run, with its liver network, as a SavedModel for TF Serving."""

from liver_tf.command_line.invocation import suggest
from liver_tf.command_line.run_command import run
from liver_tf.export.export_model import ExportSettings, export_model


def main(settings: ExportSettings) -> int:
    exported = export_model(settings)
    for sentence in filter(None, (exported.notice, *exported.left_out)):
        print(sentence)
    print(f"{exported.folder}: SavedModel; see {exported.card}")
    suggest("ask", model=exported.folder, input="SLICE.dcm")
    return 0


if __name__ == "__main__":
    run(main)
