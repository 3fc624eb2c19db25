"""Data sets on disk as lists of `Sample`: `samples(root, layout=...)` is the door, one file a published layout.

The train split is what the publisher calls so: in KolektorSDD2 and DAGM it holds labelled defects too, and
`sampling.normals` picks what a detector of anomalies may learn from. A list is empty where a layout has nothing to
give, for example to train on in a folder of defects alone. The order is that of the file names.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from blemish.errors import BadData, UnknownName
from blemish.types import Sample

SPLITS = ("train", "test")
"""Of a layout that does not name others."""

LAYOUTS = {  # tried in this order by `detect`: a layout comes before those whose folders it would also satisfy
    "visa": "blemish.data.visa",
    "realiad": "blemish.data.realiad",
    "kolektorsdd2": "blemish.data.kolektorsdd2",
    "kolektorsdd": "blemish.data.kolektorsdd",
    "dagm": "blemish.data.dagm",
    "mtd": "blemish.data.mtd",
    "btad": "blemish.data.btad",
    "mvtec-ad-2": "blemish.data.mvtec_ad_2",
    "mvtec-loco": "blemish.data.mvtec_loco",
    "autovi": "blemish.data.autovi",
    "mvtec": "blemish.data.mvtec",
    "mpdd": "blemish.data.mvtec",  # published in MVTec's layout
    "table": "blemish.data.table",
    "folder": "blemish.data.folder",
}


class Layout(Protocol):
    """What the file of a layout provides; `SPLITS`, and `list_all` where one look is enough for all, if any."""

    LOOKED_FOR: str  # the files and folders that make the layout, for messages

    def matches(self, root: Path) -> bool:
        """Whether root has this layout; looks at names only."""
        ...

    def categories(self, root: Path) -> list[str]:
        """Names of the objects, sorted; none where the layout has no such level."""
        ...

    def samples(self, root: Path, category: str | None, split: str) -> list[Sample]:
        """Samples of one category, or of all of them when it is None; root must match."""
        ...


def samples(
    root: str | Path, *, layout: str | None = None, category: str | None = None, split: str = "test"
) -> list[Sample]:
    """The samples of a split, of every category unless one is named; a layout that is not named is detected.

    UnknownName lists the choices when a layout, category or split does not exist. BadData says what is missing when
    root lacks the layout or names a picture that is not there. A defect without a mask has none, and masks that fit no
    picture are said.
    """
    reader = _reader(Path(root), layout)
    if split not in (known := _splits(reader)):
        raise UnknownName(f"split {split!r} does not exist here: choose one of {', '.join(known)}")
    return reader.samples(Path(root), category, split)


def every_sample(root: str | Path, *, layout: str | None = None, category: str | None = None) -> list[Sample]:
    """The samples of all splits, each picture once, as the last split has it; raises as `samples` does."""
    reader = _reader(Path(root), layout)
    if whole := getattr(reader, "list_all", None):
        return list(whole(Path(root), category))
    lists = [reader.samples(Path(root), category, split) for split in _splits(reader)]
    return list({each.image: each for found in lists for each in found}.values())


def splits(root: str | Path, *, layout: str | None = None) -> tuple[str, ...]:
    """Names that `samples` takes as split."""
    return _splits(_reader(Path(root), layout))


def _splits(reader: Layout) -> tuple[str, ...]:
    found: tuple[str, ...] = getattr(reader, "SPLITS", SPLITS)
    return found


def categories(root: str | Path, *, layout: str | None = None) -> list[str]:
    """Names that `samples` takes as category, sorted; none when the data set is of one object only."""
    return _reader(Path(root), layout).categories(Path(root))


def descriptions() -> list[tuple[str, str]]:
    """Every layout and what it is recognised by."""
    return [(name, _load(name).LOOKED_FOR) for name in LAYOUTS]


def detect(root: str | Path) -> str:
    """Name of the layout that root has, or BadData; looks at names of files and folders only."""
    for name in LAYOUTS:
        if _load(name).matches(Path(root)):
            return name
    if not any(each.is_file() for each in Path(root).rglob("*")):
        raise BadData(f"{root} holds no file: put pictures into it, or name another folder")
    wanted = "".join(f"\n  {name}: {looked_for}" for name, looked_for in descriptions())
    raise BadData(f"{root} has none of the known layouts. Looked for was:{wanted}")


def _reader(root: Path, layout: str | None) -> Layout:
    if not root.exists():
        raise BadData(f"{root} does not exist: give the folder, or the table, of a data set")
    if layout is None:
        return _load(detect(root))
    reader = _load(layout)
    if not reader.matches(root):
        raise BadData(
            f"{root} does not have the layout {layout!r}: looked for {reader.LOOKED_FOR}; "
            f"the layouts are {', '.join(LAYOUTS)}"
        )
    return reader


def _load(layout: str) -> Layout:
    if layout not in LAYOUTS:
        raise UnknownName(f"layout {layout!r} does not exist: choose one of {', '.join(LAYOUTS)}")
    return cast(Layout, import_module(LAYOUTS[layout]))
