"""Python's collector of cycles, set for a server: what was made at the start lives as long as the process."""

import gc

_NEW_OBJECTS = 50_000
"""Between two looks at the youngest; the default, 700, comes several times within one list."""


def begin() -> None:
    """Collects from now on, but not what was imported: nobody lets go of that."""
    gc.freeze()
    gc.enable()


def settle() -> None:
    """Sets aside all that exists, the schema above all, so that no collection walks it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 20, 50)
