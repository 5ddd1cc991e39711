"""Ask an exported model about a DICOM slice: loaded here, or on a server over REST or gRPC."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from trainers import flag_groups

FLAGS = flags.FLAGS


def main(argv: list[str]) -> int:
    from liver_tf.serving import model_clients
    from liver_tf.serving.served_answer import ask

    model = Path(FLAGS.model)
    if FLAGS.rest:
        client = model_clients.Rest(FLAGS.rest)
    elif FLAGS.grpc:
        client = model_clients.Grpc(FLAGS.grpc, FLAGS.served_as)
    elif FLAGS.openvino:
        client = model_clients.OpenVino(model)
    else:
        client = model_clients.Loaded(model)
    for line in ask(client, model, Path(FLAGS.input), FLAGS.picture):
        print(line)
    return 0


def _define_flags() -> None:
    flags.DEFINE_string("model", "saved_models/liver/1", "Version folder of the SavedModel.")
    flags.DEFINE_string("input", None, "A DICOM slice.", required=True)
    flags.DEFINE_string(
        "rest", None, "Ask a server at this URL, e.g. http://localhost:8501/v1/models/liver."
    )
    flags.DEFINE_string("grpc", None, "Ask a server at this host and port, e.g. localhost:8500.")
    flags.DEFINE_string("served_as", "liver", "Name of the model on the server asked by --grpc.")
    flags.DEFINE_boolean("openvino", False, "Let OpenVINO compute; without --rest and --grpc.")
    flags.DEFINE_string("picture", None, "PNG to draw the answer to.")


if __name__ == "__main__":
    flag_groups.run(main, _define_flags)
