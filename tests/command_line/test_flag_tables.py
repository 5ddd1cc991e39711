"""docs/commands.md is current."""

from liver_tf.command_line.commands import find_commands
from liver_tf.command_line.flag_tables import PAGE, page


def test_the_page_of_commands_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run python -m liver_tf.command_line.flag_tables"
    )


def test_the_page_lists_every_command_with_its_flags():
    text = page()
    for name in find_commands():
        assert f"\n## {name}\n" in text
    assert "| `--learning_rate` | `0.0001` |" in text
    assert "| `--learning_rate` | `5e-05` |" in text
    assert "| `--[no]deterministic` | `true` |" in text
    assert "| `--run` | **required** | Folder of the run. |" in text
