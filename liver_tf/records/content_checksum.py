"""A checksum inside a JSON file over the rest of its content: it detects damage, not an attacker.

Formatting and the order of keys are no content. Files of earlier versions have none.
"""

import hashlib
import json
from collections.abc import Collection
from typing import Any

CHECKSUM = "checksum"


def with_checksum(content: dict[str, Any]) -> dict[str, Any]:
    """The content and its hex SHA-256, in place of an existing one."""
    rest = {key: value for key, value in content.items() if key != CHECKSUM}
    text = json.dumps(rest, sort_keys=True)
    return {**rest, CHECKSUM: hashlib.sha256(text.encode()).hexdigest()}


def is_intact(stored: dict[str, Any], fields: Collection[str]) -> bool:
    """Whether a file has the content that was written.

    ``fields``: the keys of files without a checksum. Others may be a damaged ``checksum``.
    """
    if CHECKSUM not in stored:
        return set(stored) <= set(fields)
    try:
        return with_checksum(stored) == stored
    except RecursionError:  # from JSON that is nested just less deeply than can be read
        return False
