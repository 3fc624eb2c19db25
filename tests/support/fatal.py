"""Work that ends its process; without anything that is slow to import."""

from __future__ import annotations

import os
import signal


class Fatal:
    """Ends it at one part."""

    def __call__(self, number: int) -> list[str]:
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return []
