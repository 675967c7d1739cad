"""How it is said that secrets are there, without showing them."""

import os


def said_of(*names: str) -> str:
    """Say that variables are set; where they are not, what was found without them is the demo's own."""
    verb = "is" if len(names) == 1 else "are"
    if all(os.environ.get(name, "").strip() for name in names):
        return f"{' and '.join(names)} {verb} set"
    return f"{' and '.join(names)} {verb} the demo's own"
