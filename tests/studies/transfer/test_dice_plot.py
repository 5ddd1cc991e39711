"""The plot of Dice by number of training slices."""

from liver_tf.studies.transfer.dice_plot import draw_dice_plot
from tests.builders.transfer_networks import FULL, results_of


def test_the_plot_has_a_point_for_every_seed(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "liver_tf.report.plots.plot_style.save", lambda figure, path: drawn.append(figure)
    )
    draw_dice_plot(results_of(**FULL), tmp_path / "plot.png")
    (axis,) = drawn[0].axes
    points = [line for line in axis.get_lines() if line.get_linestyle() == "None"]
    assert sum(len(line.get_ydata()) for line in points) == 24
    assert {line.get_label() for line in points} == set(FULL) - {"before"}
