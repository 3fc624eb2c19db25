"""Score pictures by the bare model of `blemish export --onnx MODEL`, with onnxruntime alone: no blemish and no torch.

python examples/run_onnx.py MODEL PICTURES
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def stretch(before: int, after: int) -> np.ndarray:
    """The matrix (after, before) that resizes a line: bicubic with antialiasing."""
    centres = (np.arange(after) + 0.5) * before / after
    x = np.abs(np.arange(before) + 0.5 - centres[:, None]) / max(before / after, 1)
    far = np.where(x < 2, ((2.5 - 0.5 * x) * x - 4) * x + 2, 0)
    weights = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, far)
    return weights / weights.sum(1, keepdims=True)


session = onnxruntime.InferenceSession(sys.argv[1])
header = json.loads(session.get_modelmeta().custom_metadata_map["blemish recipe"])
height, width = header["deployed"]["size"]  # pictures are stretched to it, unless `geometry` says otherwise
limits = header["calibration"] and [float(header["calibration"][name]) for name in ("accept", "reject")]
for name in sys.argv[2:]:
    picture = ImageOps.exif_transpose(Image.open(name))
    found = np.asarray(picture if picture.mode.startswith("I;16") else picture.convert("RGB"))
    pixels = np.broadcast_to(np.atleast_3d(found / np.iinfo(found.dtype).max), (*found.shape[:2], 3))
    rows, columns = stretch(pixels.shape[0], height), stretch(pixels.shape[1], width)
    image = np.clip(np.einsum("hy,yxc,wx->chw", rows, pixels, columns, optimize=True), 0, 1)
    score, anomaly_map, *_ = session.run(None, {"images": image[None].astype(np.float32)})
    verdict = ("accept", "review", "reject")[sum(score[0] >= limits)] if limits else "no verdict"
    y, x = divmod(int(anomaly_map[0].argmax()), width)
    print(f"{name}: {score[0]:.7g} {verdict}, worst at x {x}, y {y} of {width} x {height}")
