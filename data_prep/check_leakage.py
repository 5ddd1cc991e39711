"""Search for patients and slices that record sets share, and for leaks between folds.

Without --folds_file, every set is compared with every other, and within a set every patient with
every other. With it, the parts of each fold are compared with each other, and the other sets with
all cases of the first, because each case is in some test fold. Exit status 1 if there is a leak.
"""

from liver_tf.command_line.invocation import show_next, suggest
from liver_tf.command_line.run_command import run
from liver_tf.inspection.leak_search import LeakSearchSettings, search_leaks


def main(settings: LeakSearchSettings) -> int:
    search = search_leaks(settings)
    print(search.text())
    if search.leaks:
        show_next("remove the cases from one of the sets, or see --allow_pairs")
        return 1
    suggest("finetune", flagfile="hier_freeze.flags", records=settings.records[0])
    return 0


if __name__ == "__main__":
    run(main, tensorflow=False)
