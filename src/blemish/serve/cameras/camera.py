"""What a station asks of a camera, whichever it is."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.serve.cameras.options import CameraSettings


class CameraLost(BlemishError):
    """A camera that cannot be reached, or not any more; it may come back."""


class CameraEnd(BlemishError):
    """A file that has no more pictures."""


class Camera(Protocol):
    """One that is open; used by one thread."""

    def trigger(self) -> None:
        """Let it take a picture; what it took before is let go. Raises CameraLost."""

    def grab(self) -> bool:
        """Wait for the next picture, a second or so; False where none came; raises CameraLost and CameraEnd."""

    def frame(self) -> NDArray[Any]:
        """The picture that was grabbed, copied: grey (H, W) or RGB (H, W, 3); raises BadImage for one with holes."""

    def close(self) -> None:
        """Let it go."""


def open_camera(settings: CameraSettings) -> Camera:
    """Raises CameraLost."""
    if settings.kind == "genicam":
        from blemish.serve.cameras.aravis import AravisCamera

        return AravisCamera(settings)
    from blemish.serve.cameras.opencv import VideoCamera

    return VideoCamera(settings)
