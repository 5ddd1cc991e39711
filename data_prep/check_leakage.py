"""Search for patients and slices that record sets share, and for leaks between folds.

Without --folds_file, every set is compared with every other, and within a set every patient with
every other. With it, the parts of each fold are compared with each other, and the other sets with
all cases of the first, because each case is in some test fold. Exit status 1 if there is a leak.
"""

from liver_tf.command_line.run_command import run
from liver_tf.inspection.leak_search import LeakSearchSettings, search_leaks


def main(settings: LeakSearchSettings) -> int:
    search = search_leaks(settings)
    print(search.text())
    return 1 if search.leaks else 0


if __name__ == "__main__":
    run(main)
