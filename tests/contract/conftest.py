"""One thread: on networks this small a second one only waits for the first, for seconds where the machine is busy."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
