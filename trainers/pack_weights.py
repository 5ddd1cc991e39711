"""Pack finished runs of phantoms into the networks of the package (liver_tf/weights).

Networks that are not named remain unchanged.
"""

from liver_tf.command_line.invocation import suggest
from liver_tf.command_line.run_command import run
from liver_tf.export.pack_settings import PackSettings


def main(settings: PackSettings) -> int:
    from liver_tf.export.pack_weights import pack_weights

    for folder in pack_weights(settings):
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{folder}: packed, {size / 1e6:.2f} MB; see {folder}/model_card.md")
    suggest("predict", "with the networks of the package", input="SCAN")
    return 0


if __name__ == "__main__":
    run(main)
