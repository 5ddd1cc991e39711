"""Write a LiTS-like and a Sheba-like data set of computed abdomens, in real file formats."""

from liver_tf.command_line.invocation import suggest
from liver_tf.command_line.run_command import run
from liver_tf.phantom.phantom_plan import PhantomSettings
from liver_tf.progress import with_progress


def main(settings: PhantomSettings) -> int:
    from liver_tf.phantom.phantom_folder import DONE, write_phantom

    written = write_phantom(
        settings.output,
        settings.plan,
        settings.workers,
        lambda steps, total: with_progress(steps, "phantom", "patient", total),
    )
    file = settings.output / DONE
    print(f"wrote {file}" if written else f"{file} is already complete")
    suggest("verify", source="lits", input=settings.output / "lits")
    return 0


if __name__ == "__main__":
    run(main, tensorflow=False)
