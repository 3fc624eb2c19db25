"""GigE Vision and USB3 Vision cameras by Aravis, a library of the system's, which is called without a binding."""

from __future__ import annotations

import ctypes
import threading
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from ctypes.util import find_library
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage
from blemish.serve.cameras.camera import CameraLost
from blemish.serve.cameras.options import ARAVIS, CameraSettings

BUFFERS = 8
PLAIN_SOCKET = 1
"""Of GigE Vision: what any program may open; the other kind hears nothing of this machine's own."""
WHOLE_PICTURE = 1
"""Is what its socket is to hold, as far as the system lets it."""
WAIT = 1_000_000
"""Microseconds that the next picture is waited for at once."""
GREY = {
    0x01080001: np.uint8,
    0x01100003: np.uint16,
    0x01100005: np.uint16,
    0x01100025: np.uint16,
    0x01100007: np.uint16,
}
"""Mono8, 10, 12, 14, 16, by their numbers in GenICam's list of pixel formats."""
COLOUR = {0x02180014: slice(None), 0x02180015: slice(None, None, -1)}
"""RGB8 and BGR8, and where red is first in them."""
MOSAIC = {0x01080008: "GRBG", 0x01080009: "RGGB", 0x0108000A: "GBRG", 0x0108000B: "BGGR"}
"""BayerGR8, RG8, GB8, BG8, and what OpenCV calls them."""
_LOST = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)


class _Error(ctypes.Structure):
    """GError."""

    _fields_ = (("domain", c_uint), ("code", c_int), ("message", c_char_p))


_RETURNS: dict[str, tuple[Any, tuple[Any, ...], bool]] = {
    "arv_camera_new": (c_void_p, (c_char_p,), True),
    "arv_camera_get_device": (c_void_p, (c_void_p,), False),
    "arv_device_set_features_from_string": (c_int, (c_void_p, c_char_p), True),
    "arv_camera_set_trigger": (None, (c_void_p, c_char_p), True),
    "arv_camera_software_trigger": (None, (c_void_p,), True),
    "arv_camera_is_gv_device": (c_int, (c_void_p,), False),
    "arv_camera_gv_set_stream_options": (None, (c_void_p, c_int), False),
    "arv_camera_create_stream": (c_void_p, (c_void_p, c_void_p, c_void_p), True),
    "arv_camera_get_payload": (c_uint, (c_void_p,), True),
    "arv_camera_start_acquisition": (None, (c_void_p,), True),
    "arv_camera_stop_acquisition": (None, (c_void_p,), True),
    "arv_buffer_new": (c_void_p, (c_size_t, c_void_p), False),
    "arv_stream_push_buffer": (None, (c_void_p, c_void_p), False),
    "arv_stream_try_pop_buffer": (c_void_p, (c_void_p,), False),
    "arv_stream_timeout_pop_buffer": (c_void_p, (c_void_p, c_uint64), False),
    "arv_buffer_get_status": (c_int, (c_void_p,), False),
    "arv_buffer_get_data": (c_void_p, (c_void_p, POINTER(c_size_t)), False),
    "arv_buffer_get_image_width": (c_int, (c_void_p,), False),
    "arv_buffer_get_image_height": (c_int, (c_void_p,), False),
    "arv_buffer_get_image_pixel_format": (c_uint, (c_void_p,), False),
}
"""What each function returns and takes, and whether an error comes last."""


class _Library:
    def __init__(self) -> None:
        self.arv = ctypes.CDLL(find_library(ARAVIS) or "")
        self.glib = ctypes.CDLL(find_library("gobject-2.0") or "")
        self.glib.g_object_unref.argtypes = (c_void_p,)
        self.glib.g_signal_connect_data.argtypes = (c_void_p, c_char_p, _LOST, c_void_p, c_void_p, c_int)
        self.glib.g_signal_connect_data.restype = ctypes.c_ulong
        self.glib.g_error_free.argtypes = (c_void_p,)
        for name, (returns, takes, fails) in _RETURNS.items():
            function = getattr(self.arv, name)
            function.restype = returns
            function.argtypes = (*takes, POINTER(POINTER(_Error))) if fails else takes

    def call(self, name: str, *given: Any) -> Any:
        """Raises CameraLost with Aravis's own words."""
        if not _RETURNS[name][2]:
            return getattr(self.arv, name)(*given)
        error = POINTER(_Error)()
        found = getattr(self.arv, name)(*given, byref(error))
        if error:
            said = (error.contents.message or b"").decode(errors="replace")
            self.glib.g_error_free(error)
            raise CameraLost(said)
        return found


@cache
def _library() -> _Library:
    return _Library()


class AravisCamera:
    """Opens it, sets its features and starts it; raises CameraLost."""

    def __init__(self, settings: CameraSettings) -> None:
        self.settings, self._call = settings, _library().call
        self._camera = self._stream = self._held = None
        self._lost = threading.Event()
        self._notice = _LOST(lambda *_: self._lost.set())  # kept: Aravis calls it
        try:
            self._open()
        except CameraLost as error:
            self.close()
            raise CameraLost(f"{settings.shown} cannot be used ({error}): see what `arv-tool-0.8` lists") from error

    def _open(self) -> None:
        self._camera = self._call("arv_camera_new", self.settings.device.encode() or None)
        device = self._call("arv_camera_get_device", self._camera)
        _library().glib.g_signal_connect_data(device, b"control-lost", self._notice, None, None, 0)
        for name, value in self.settings.features.items():
            said = f"{name}={str(value).lower() if isinstance(value, bool) else value}"
            self._call("arv_device_set_features_from_string", device, said.encode())
        if self.settings.trigger:
            self._call("arv_camera_set_trigger", self._camera, b"Software")
        is_gigabit = self._call("arv_camera_is_gv_device", self._camera)
        if is_gigabit:
            self._call("arv_camera_gv_set_stream_options", self._camera, PLAIN_SOCKET)
        self._stream = self._call("arv_camera_create_stream", self._camera, None, None)
        if is_gigabit:
            _library().glib.g_object_set(c_void_p(self._stream), b"socket-buffer", c_int(WHOLE_PICTURE), c_void_p(None))
        size = self._call("arv_camera_get_payload", self._camera)
        for _ in range(BUFFERS):
            self._call("arv_stream_push_buffer", self._stream, self._call("arv_buffer_new", size, None))
        self._call("arv_camera_start_acquisition", self._camera)

    def trigger(self) -> None:
        """Let it take a picture."""
        self._give_back()
        while waiting := self._call("arv_stream_try_pop_buffer", self._stream):
            self._call("arv_stream_push_buffer", self._stream, waiting)
        self._call("arv_camera_software_trigger", self._camera)

    def grab(self) -> bool:
        """Wait a second for the next picture; raises CameraLost."""
        self._give_back()
        self._held = self._call("arv_stream_timeout_pop_buffer", self._stream, WAIT)
        if self._lost.is_set():
            raise CameraLost(f"{self.settings.shown} does not answer any more")
        return self._held is not None

    def frame(self) -> NDArray[Any]:
        """The picture that was grabbed, copied out at once; raises BadImage."""
        buffer = self._held
        status = self._call("arv_buffer_get_status", buffer)
        if status != 0:
            raise BadImage(
                f"a picture of {self.settings.shown} is not complete (status {status} of Aravis): look at its network"
            )
        size = c_size_t()
        start = self._call("arv_buffer_get_data", buffer, byref(size))
        pixels = np.array(np.ctypeslib.as_array((ctypes.c_uint8 * size.value).from_address(start)))
        shape = [self._call(f"arv_buffer_get_image_{side}", buffer) for side in ("height", "width")]
        kind = self._call("arv_buffer_get_image_pixel_format", buffer)
        self._give_back()
        return _picture(pixels, shape[0], shape[1], kind)

    def close(self) -> None:
        """Stop it and let it go."""
        self._give_back()
        if self._stream and not self._lost.is_set():
            self._call("arv_camera_stop_acquisition", self._camera)
        for each in (self._stream, self._camera):
            if each:
                _library().glib.g_object_unref(each)
        self._camera = self._stream = None

    def _give_back(self) -> None:
        held, self._held = self._held, None
        if held:
            self._call("arv_stream_push_buffer", self._stream, held)


def _picture(pixels: NDArray[Any], height: int, width: int, kind: int) -> NDArray[Any]:
    """Bytes of a buffer -> grey (H, W) or RGB (H, W, 3); raises BadImage for another pixel format."""
    if kind in GREY:
        return pixels.view(GREY[kind])[: height * width].reshape(height, width)
    if kind in COLOUR:
        return np.ascontiguousarray(pixels[: 3 * height * width].reshape(height, width, 3)[..., COLOUR[kind]])
    if kind in MOSAIC:
        try:
            import cv2
        except ImportError as error:
            raise BadImage(
                "colours of a Bayer sensor take OpenCV: pip install 'blemish[camera]', or choose RGB8"
            ) from error
        mosaic = pixels[: height * width].reshape(height, width)
        return np.asarray(cv2.cvtColor(mosaic, getattr(cv2, f"COLOR_Bayer{MOSAIC[kind]}2RGB")))
    raise BadImage(f"the pixel format {kind:#010x} is not taken: set PixelFormat to Mono8, Mono12, RGB8 or BayerRG8")
