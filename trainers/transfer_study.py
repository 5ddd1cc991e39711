"""Transfer to real CT: a liver network of phantoms, fine-tuned on a few slices of one real scan.

The scan is split into parts that are far apart. Networks pre-trained on phantoms (all protocols
and controls) and networks from scratch are trained on the same 4, 8 and 16 slices, and tested at
the other end of the liver. The scan is of ONE PATIENT: the results show the method on real pixels
and say nothing about other patients. An interrupted study resumes with the same command. See
docs/real_ct.md.
"""

from liver_tf.command_line.run_command import run
from liver_tf.studies.transfer.transfer_settings import TransferSettings


def main(settings: TransferSettings) -> int:
    from liver_tf.studies.transfer.transfer_study import run_transfer_study

    return 0 if run_transfer_study(settings) else 1


if __name__ == "__main__":
    run(main, tensorflow=False)
