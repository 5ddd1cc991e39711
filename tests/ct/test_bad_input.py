"""Every refusal of the CT readers has a remedy, and every remedy is used."""

from liver_tf.ct.bad_input import _REMEDIES, bad_input
from tests.campaigns.reason_codes import codes_in_source


def test_every_code_of_the_readers_has_a_remedy():
    modules_by_code = codes_in_source()
    codes = {
        code
        for code, modules in modules_by_code.items()
        if any(m.startswith("liver_tf/ct/") and not m.endswith("/slices_csv.py") for m in modules)
    }
    assert len(codes) > 60
    for code in codes:
        assert bad_input(code, None, "this", "that").remedy.endswith(".")
    assert set(_REMEDIES) <= set(modules_by_code)
