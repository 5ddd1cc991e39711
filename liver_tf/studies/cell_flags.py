"""The flag files of a study are checked before any run of it starts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

from liver_tf.command_line.flags_of_options import check_flags, parse
from liver_tf.labels import LESION_TYPES
from liver_tf.options import OptionError
from liver_tf.training.training_settings import FinetuneSettings

#: The name of a file, and all flags that are used together with it.
FileFlags = tuple[str, Sequence[str]]


def refuse_unreadable(settings: Iterable[FileFlags], protocols: Iterable[FileFlags]) -> None:
    """Refuse files that the runs of a study could not read; the first such file is named.

    Args:
      settings: Checked flag by flag: a file need not be complete.
      protocols: Checked together with the settings, as a run gets them.

    Raises:
      OptionError: A file has an unknown flag or a value that is not possible.
    """
    for file, flags in settings:
        with _naming(file):
            check_flags(FinetuneSettings, flags)
    for file, flags in protocols:
        with _naming(file):
            options = parse(FinetuneSettings, flags)
            options.parsed_protocol()
            options.augmentation.for_labels(LESION_TYPES)


@contextlib.contextmanager
def _naming(file: str) -> Iterator[None]:
    try:
        yield
    except OptionError as error:
        raise OptionError(None, f"{file}: {error.as_flag()}") from None
