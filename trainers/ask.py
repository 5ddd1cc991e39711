"""Ask an exported model about a DICOM slice: loaded here, or on a server over REST or gRPC."""

from liver_tf.command_line.run_command import run
from liver_tf.serving.ask_settings import AskSettings


def main(settings: AskSettings) -> int:
    from liver_tf.serving.served_answer import ask

    for line in ask(settings.client(), settings.model, settings.input, settings.picture):
        print(line)
    return 0


if __name__ == "__main__":
    run(main)
