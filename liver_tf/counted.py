"""Numbers with their noun: ``1 case``, ``2 cases``."""


def counted(number: int, noun: str) -> str:
    """The number and a noun, such as ``stray slice``, whose plural ends in s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
