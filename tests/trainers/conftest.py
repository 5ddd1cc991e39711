"""Commands in this process."""

import pytest
from absl import app, flags

from trainers import flag_groups


@pytest.fixture(scope="session")
def command():
    """Runs a command's main with arguments, as ``app.run`` would, with flags of its own."""

    def call(module, *arguments):
        before = dict(flags.FLAGS.__dict__)
        flags.FLAGS.__dict__.clear()
        flags.FLAGS.__dict__.update(flags.FlagValues().__dict__)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app, "run", lambda main: status.append(main(parse(arguments))))
            status = []
            try:
                flag_groups.run(module.main, module._define_flags)
            finally:
                flags.FLAGS.__dict__.clear()
                flags.FLAGS.__dict__.update(before)
        return status[0]

    def parse(arguments):
        return flags.FLAGS(["command", *map(str, arguments)])

    return call
