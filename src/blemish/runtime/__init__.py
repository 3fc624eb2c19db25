"""Deployed recipes, run without torch."""

from blemish.runtime.running import Inspector, load

__all__ = ["Inspector", "load"]
