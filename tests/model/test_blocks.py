"""Parsing of block lists."""

import pytest

from liver_tf.model.blocks import BLOCKS, ENCODER, parse_blocks


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("none", ()),
        ("all", BLOCKS),
        ("enc1", ("enc1",)),
        (" enc1 ", ("enc1",)),
        ("enc1-enc5", ENCODER),
        ("enc1 - enc3, dec4", ("enc1", "enc2", "enc3", "dec4")),
        ("head,enc2,enc1", ("enc1", "enc2", "head")),
        ("enc5-dec4", ("enc5", "dec4")),
        ("enc1-enc3,enc2-enc4", ("enc1", "enc2", "enc3", "enc4")),
        ("enc3-enc3", ("enc3",)),
        ("enc1-head", BLOCKS),
    ],
)
def test_block_lists_are_parsed(text, blocks):
    assert parse_blocks(text) == blocks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("enc6", r"^there is no block 'enc6'; use none, all, enc1, .*, head"),
        ("dec5", "there is no block 'dec5'"),
        ("Enc1", "there is no block 'Enc1'"),
        ("enc1,none", "^blocks 'enc1,none': there is no block 'none'"),
        ("enc3-enc1", "enc3-enc1 runs backwards; the order is enc1, enc2"),
        ("head-enc1", "head-enc1 runs backwards"),
        ("", "cannot read ''; write e.g. enc1-enc3,dec4"),
        ("enc1,,enc2", "cannot read ''"),
        ("enc1-enc2-enc3", "cannot read 'enc1-enc2-enc3'"),
        ("enc1 enc2", "cannot read 'enc1 enc2'"),
    ],
)
def test_an_invalid_block_list_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_blocks(text)
