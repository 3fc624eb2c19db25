"""One file a published method. Import what you need: `from blemish.detectors.patchcore import PatchCore`."""
