"""The model that ships with the package: its weights, its card (CARD.md) and its licence lie beside this file."""

from pathlib import Path

MODEL = Path(__file__).parent / "model.safetensors"
CARD = Path(__file__).parent / "CARD.md"
