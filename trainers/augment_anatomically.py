"""Label the unlabelled neighbours of a run's training slices, and extend its records by them.

Anatomical data augmentation (Ben-Cohen et al., arXiv 1801.02261). Writes a record set of ROIs for
liver-tf finetune, with a page (neighbours.html) on which every label made can be judged, and a
table of what was kept and dropped, and why.
"""

from liver_tf.anatomical.augment_settings import AugmentSettings
from liver_tf.command_line.invocation import show_next
from liver_tf.command_line.run_command import run


def main(settings: AugmentSettings) -> int:
    from liver_tf.anatomical.extended_set import augment_anatomically

    print(augment_anatomically(settings).text())
    show_next(f"open {settings.output / 'neighbours.html'}")
    return 0


if __name__ == "__main__":
    run(main)
