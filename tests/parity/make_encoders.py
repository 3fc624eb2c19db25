"""Writes `tests/parity/encoders/`: small random checkpoints in others' formats, and what they compute.

Not a test and not imported by one: it needs open_clip, timm and transformers, which blemish does not. Run
`python -m tests.parity.make_encoders` from the root of the repository in an environment that has them.
"""

from __future__ import annotations

import torch
from tests.parity.reference import open_clip_layouts, timm_layouts, transformers_layouts


def main() -> None:
    torch.set_num_threads(1)
    open_clip_layouts.make_openai()
    open_clip_layouts.make_open_clip()
    transformers_layouts.make_clip()
    transformers_layouts.make_dinov2()
    timm_layouts.make_timm_vit()
    timm_layouts.make_dino()
    timm_layouts.make_dinov2()
    timm_layouts.make_resnet()


if __name__ == "__main__":
    main()
