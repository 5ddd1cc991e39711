"""Some arms of one replicate of the order study: pre-train, fine-tune and measure, in one process.

liver-tf order_study starts its cells by this command.
"""

from liver_tf.command_line.run_command import run
from liver_tf.studies.order.order_settings import OrderCellSettings


def main(settings: OrderCellSettings) -> int:
    from liver_tf.studies.order.order_cell import run_order_cell

    run_order_cell(settings)
    return 0


if __name__ == "__main__":
    run(main)
