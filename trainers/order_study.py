"""Does the order of freezing matter? Protocols compared over replicates, on phantoms.

Every replicate is a new training cohort and a new seed; all arms of a replicate have the same data,
number of steps and batches, and differ in one factor. The comparisons were fixed beforehand:
docs/results/order_protocol.md. An interrupted study resumes with the same command.
"""

from liver_tf.command_line.run_command import run
from liver_tf.studies.order.order_settings import OrderStudySettings


def main(settings: OrderStudySettings) -> int:
    from liver_tf.studies.order.order_study import run_order_study

    return 0 if run_order_study(settings) else 1


if __name__ == "__main__":
    run(main, tensorflow=False)
