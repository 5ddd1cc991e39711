"""Query an exported model with a DICOM slice: in this process, or on a server (REST, gRPC)."""

from liver_tf.command_line.invocation import show_next, suggest
from liver_tf.command_line.run_command import run
from liver_tf.serving.ask_settings import AskSettings


def main(settings: AskSettings) -> int:
    from liver_tf.serving.served_answer import ask

    for line in ask(settings.client(), settings.model, settings.input, settings.picture):
        print(line)
    if settings.picture:
        show_next(f"open {settings.picture}; docs/serving.md says how to serve the model")
    else:
        suggest("ask", model=settings.model, input=settings.input, picture="answer.png")
    return 0


if __name__ == "__main__":
    run(main)
