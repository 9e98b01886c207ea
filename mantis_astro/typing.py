"""Names of types that stand for several, for annotations only."""

import os
from typing import TypeAlias

__all__ = ["PathLike"]

#: A path, or its text.
PathLike: TypeAlias = "str | os.PathLike[str]"
