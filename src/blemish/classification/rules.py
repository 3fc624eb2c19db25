"""What follows from the type of a defect, and why the score decides where its rule cannot."""

from __future__ import annotations

from typing import Literal, NamedTuple

from blemish.blocks.defect_regions import DefectRegion
from blemish.calibration.thresholds import Verdict
from blemish.classification.calls import Named, RegionNamer


class Asked(NamedTuple):
    """The verdict that the rule of a type asks for; "": the score decides, and why where a rule would have accepted."""

    verdict: Verdict | Literal[""] = ""
    reason: str = ""


def ask(namer: RegionNamer, named: Named, region: DefectRegion) -> Asked:
    """By the rule of its type, if it has one; to accept only where the region is of no type that is not accepted.

    By words alone, where nothing says what else it may be, it may be any type that has a rule.
    """

    def asked_by(name: str) -> Verdict | Literal[""]:
        rule = namer.severities.get(name)
        return rule.of(region.area, region.area_mm2) if rule else ""

    own = asked_by(named.type)
    if own != "accept":
        return Asked(own)
    taught = bool(namer.sureness.coverage)
    may_be = named.others if taught else tuple(dict.fromkeys((*named.others, *namer.severities)))
    worse = {name: asked for name in may_be if (asked := asked_by(name)) != "accept"}
    if may_be and not worse:
        return Asked(own)
    by = "it may be" if taught else "by words alone it may be"
    said = [f"{name} asks for {asked}" if asked else f"{name} has no rule" for name, asked in worse.items()]
    why = f"{by} {' or '.join(may_be)}, and {', '.join(said)}" if may_be else "no type fits it well"
    until = "" if taught else " until examples tell types apart"
    return Asked("", f"the rule for {named.type} would accept it, but {why}: the score decides{until}")
