"""Recipes as graphs that run without torch, and the proof that they score alike."""
