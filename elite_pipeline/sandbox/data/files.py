"""Files: what stands in one, for its name."""

from elite_pipeline.sandbox.data.pictures import png
from elite_pipeline.sandbox.dice import Dice


def file_content(dice: Dice, name: str, line: str) -> tuple[str, bytes]:
    """Return the content type and the bytes of a small file.

    Args:
        dice: The colour of a picture follows from it.
        name: Its name; one that ends in ``.png`` is a picture, any other a text.
        line: What stands in a text below its name.
    """
    if name.endswith(".png"):
        return "image/png", png(dice)
    return "text/plain", f"{name}\r\n{line}\r\n".encode()
