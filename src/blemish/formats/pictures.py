"""Pictures that lie beside their labels."""

from __future__ import annotations

import shutil
from pathlib import Path

from blemish.errors import BadData
from blemish.files import guard_write


def copy_picture(picture: Path, target: Path) -> None:
    """The same file at another place; raises BadData where it is gone."""
    if not picture.is_file():
        raise BadData(f"{picture} is gone, and this format has pictures beside their labels: put it back")
    with guard_write(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, target)
