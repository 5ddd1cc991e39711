"""A tiny cascade is exported once for all tests of serving."""

import pytest


@pytest.fixture(scope="session")
def exported(make_network, tmp_path_factory):
    return _exported(make_network, tmp_path_factory)


@pytest.fixture(scope="session")
def exported_for_openvino(make_network, tmp_path_factory):
    """The same with ``found_*`` as uint8."""
    return _exported(make_network, tmp_path_factory, found_as_uint8=True)


def _exported(make_network, tmp_path_factory, **options):
    import tensorflow as tf

    from liver_tf.export.saved_model import export
    from liver_tf.inference.cascade import Cascade
    from liver_tf.inference.liver_finder import LiverFinder
    from tests.builders.served import Exported

    cascade = Cascade(LiverFinder(make_network("liver")), make_network("lesion"))
    folder = tmp_path_factory.mktemp("served") / "liver" / "1"
    export(cascade, folder, {"protocol": "hier_freeze"}, **options)
    return Exported(cascade, folder, tf.saved_model.load(str(folder)))
