"""Window encoding of a ViT-B-16-plus-240 beside the rate of matrix products of its layers' shapes. argv: precision."""

from __future__ import annotations

import sys

import torch
from timing import report, seconds
from torch.nn import functional as F

from blemish.blocks.windows import sliding_windows
from blemish.encoders.config import ViTConfig
from blemish.encoders.vit import VisionTransformer

WIDTH, DEPTH, GRID, SCALES = 896, 12, 15, (2, 3)
dtype = getattr(torch, sys.argv[1])
config = ViTConfig(240, 16, WIDTH, DEPTH, heads=14, hidden=4 * WIDTH, output=640, norm_pre=True)
torch.manual_seed(0)
encoder = VisionTransformer(config).requires_grad_(False).eval()
for parameter in encoder.parameters():
    parameter.data = parameter.data.to(dtype)
image = torch.rand(1, 3, 240, 240)
windows = [sliding_windows(GRID, GRID, size) for size in SCALES]
count = sum(len(window) for window in windows)
tokens = sum(window.numel() + len(window) for window in windows)

# Units of WIDTH^2 multiplications: 3 for queries, keys and values, 1 for the output, 8 for the perceptron. The first
# layer's three are those of the picture's own tokens; after the last layer's three only class tokens go on.
units = 3 * (GRID**2 + 1) + 9 * tokens + 12 * tokens * (DEPTH - 2) + 3 * tokens + 9 * count
shapes = [(WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)]
layer = [(torch.randn(tokens, i).to(dtype), torch.randn(o, i).to(dtype), torch.randn(o).to(dtype)) for i, o in shapes]


def products() -> None:
    for x, weight, bias in layer:
        F.linear(x, weight, bias)


plain, encoded = [], []
with torch.inference_mode():
    for _ in range(5):  # in turn, so that what else the machine does meets both
        plain += seconds(products, repeats=2)
        encoded += seconds(lambda: encoder.encode_windows(image, windows), repeats=1)
rate = 2 * 12 * tokens * WIDTH**2 / min(plain)
report(rate=rate / 1e9, encoding=2 * units * WIDTH**2 / min(encoded) / 1e9, seconds=encoded, tokens=tokens)
