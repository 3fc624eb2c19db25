"""USB cameras, RTSP and other addresses, videos and numbered pictures, by OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage, BadInput
from blemish.serve.cameras.camera import CameraEnd, CameraLost
from blemish.serve.cameras.options import CameraSettings

ANSWER_MS = 5000
"""In which an address must answer."""


class VideoCamera:
    """Opens it; raises CameraLost."""

    def __init__(self, settings: CameraSettings) -> None:
        import cv2

        self.settings, self._cv2 = settings, cv2
        device = settings.device
        if "://" in device:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, ANSWER_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, ANSWER_MS]
            self._capture = cv2.VideoCapture(device, cv2.CAP_FFMPEG, limits)
        else:
            self._capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
        if not self._capture.isOpened():
            raise CameraLost(f"{settings.shown} cannot be opened: see that it is there, and that nobody else uses it")
        for name, value in settings.features.items():
            if not self._capture.set(getattr(cv2, f"CAP_PROP_{name}"), float(value)):
                self.close()
                raise CameraLost(f"{settings.shown} does not take {name} = {value}: leave it out of features")

    def trigger(self) -> None:
        """Raises BadInput."""
        raise BadInput("OpenCV triggers no camera")

    def grab(self) -> bool:
        """Wait for the next picture; raises CameraLost and CameraEnd."""
        if self._capture.grab():
            return True
        if self.settings.is_live:
            raise CameraLost(f"{self.settings.shown} sends no pictures any more")
        raise CameraEnd(f"{self.settings.shown} has ended")

    def frame(self) -> NDArray[Any]:
        """The picture that was grabbed; raises BadImage."""
        is_there, found = self._capture.retrieve()
        if not is_there:
            raise BadImage(f"a picture of {self.settings.shown} could not be decoded")
        if found.ndim == 2:
            return np.array(found)
        return np.asarray(self._cv2.cvtColor(found, self._cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        """Let it go."""
        self._capture.release()
