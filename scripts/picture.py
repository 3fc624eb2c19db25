"""The README's picture, from what `make demo` left: some of its pictures above their heat maps, with their scores.

python scripts/picture.py demo docs/assets/gears.jpg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SHOWN = ("good_2", "chip", "missing", "crack", "rust", "thread")
SIDE, GAP, CAPTION = 180, 6, 24


def main(demo: Path, out: Path) -> None:
    """Write the picture."""
    lines = map(json.loads, (demo / "report" / "results.jsonl").read_text(encoding="utf-8").splitlines())
    found = {Path(line["path"]).stem: line for line in lines}
    sheet = Image.new("RGB", (len(SHOWN) * (SIDE + GAP) - GAP, 2 * SIDE + GAP + CAPTION), "white")
    write = ImageDraw.Draw(sheet)
    for number, name in enumerate(SHOWN):
        left, line = number * (SIDE + GAP), found[name]
        with Image.open(demo / "parts" / "new" / f"{name}.png") as part:
            sheet.paste(part.resize((SIDE, SIDE)), (left, CAPTION))
        with Image.open(demo / "report" / line["overlay"]) as overlay:
            sheet.paste(overlay.resize((SIDE, SIDE)), (left, CAPTION + SIDE + GAP))
        text = f"{name.partition('_')[0]}: {line['score']:.2f}"
        write.text((left + SIDE / 2, CAPTION / 2), text, "black", ImageFont.load_default(15), "mm")
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
