"""Deployed recipes, run without torch."""
