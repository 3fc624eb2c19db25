"""Cameras that a station reads itself: numbered pictures, an address, and Aravis's GigE camera that is none."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.serve.test_settings import line as read_text
from tests.support.peers import need, until
from tests.support.serving import LINE, Client, line_settings, running

from blemish.errors import BadImage, BadInput
from blemish.serve.cameras import watch
from blemish.serve.cameras.aravis import BUFFERS, AravisCamera
from blemish.serve.cameras.camera import CameraEnd, CameraLost
from blemish.serve.cameras.options import CameraSettings
from blemish.serve.cameras.watch import CameraWatch, Intake, Place

RED, BLUE = (255, 0, 0), (0, 0, 255)


def numbered(folder: Path, *colours: tuple[int, int, int]) -> str:
    folder.mkdir()
    for number, colour in enumerate(colours):
        Image.new("RGB", (8, 6), colour).save(folder / f"{number:03}.png")
    return f"{folder}/%03d.png"


def station(tables: str) -> str:
    return LINE + "budget_ms = 20_000\n" + tables


def records(client: Client, count: int, name: str = "gears") -> list[dict[str, Any]]:
    """The oldest first."""
    found = client.wait_for(f"/stations/{name}/parts", lambda found: len(found) >= count)
    return sorted(found, key=lambda each: each["n"])


def test_each_picture_of_a_camera_is_a_part_and_comes_as_its_pixels(tmp_path: Path) -> None:
    device = numbered(tmp_path / "seen", RED, BLUE, BLUE, RED)
    settings = line_settings(tmp_path, station(f"[[stations.cameras]]\nkind = 'opencv'\ndevice = '{device}'\n"))
    with running(settings) as client:
        found = records(client, 4)
        assert [each["verdict"] for each in found] == ["reject", "accept", "accept", "reject"]
        assert [each["part"] for each in found] == sorted(each["part"] for each in found)
        assert found[0]["seconds"].keys() == {"wait", "read", "detect", "station", "answer"}
        alarms = client.wait_for("/health", lambda found: found["alarms"])["alarms"]
        assert alarms == {f"gears camera {device}": f"gears: camera {device} has ended"}
        kept = client.wait_for(f"/stations/gears/parts/{found[0]['part']}/pictures", lambda found: found["pictures"])
        [number] = [each["n"] for each in kept["pictures"] if each["kind"] == "picture"]
        with Image.open(BytesIO(client.ask("GET", f"/pictures/{number}").body)) as picture:
            assert (picture.format, picture.getpixel((0, 0))) == ("TIFF", RED)


def test_a_single_job_takes_one_picture_and_gives_it_the_parts_id(tmp_path: Path) -> None:
    device = numbered(tmp_path / "seen", RED, BLUE, RED)
    text = station(f"start = false\n[[stations.cameras]]\nkind = 'opencv'\ndevice = '{device}'\n")
    with running(line_settings(tmp_path, text)) as client:
        client.wait_ready()
        jobs = [("reject", {}), ("accept", {"part": "A 7", "product": "cog"})]
        for number, (verdict, job) in enumerate(jobs, start=1):
            client.ask("POST", "/stations/gears/commands/start_single", job)
            client.wait_for("/health", lambda found: found["stations"][0]["state"] == "Operational.Ready")
            assert records(client, number)[-1]["verdict"] == verdict
        found = records(client, 2)
        assert [(each["part"], each["product"]) for each in found[1:]] == [("A 7", "cog")]
        assert client.ask("POST", "/stations/gears/commands/start_single", {"part": "A 7"}).status == 409


@contextmanager
def streaming(frames: Callable[[], Iterator[bytes]], port: int = 0) -> Iterator[int]:
    """A network camera: JPEGs, one after the other, to whoever asks."""

    class Sends(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            for frame in frames():
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(frame)}\r\n\r\n"
                self.wfile.write(head.encode() + frame + b"\r\n")

        def log_message(self, *_: object) -> None:
            """Nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                return  # whoever asked has gone

    server = ThreadingHTTPServer(("127.0.0.1", port), Sends)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def jpeg(colour: tuple[int, int, int]) -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 48), colour).save(file, "JPEG")
    return file.getvalue()


def test_a_camera_that_is_lost_is_found_again_and_it_is_said_meanwhile(tmp_path: Path) -> None:
    def few() -> Iterator[bytes]:
        for _ in range(40):
            yield jpeg(RED)
            time.sleep(0.02)

    with streaming(few) as port:
        address = f"http://someone:secret@127.0.0.1:{port}/video"
        camera = f"[[stations.cameras]]\nkind = 'opencv'\ndevice = '{address}'\ninterval_ms = 100\n"
        with running(line_settings(tmp_path, station(camera))) as client:
            assert {each["verdict"] for each in records(client, 2)} == {"reject"}
            lost = client.wait_for("/health", lambda found: found["alarms"])["alarms"]
            assert f"camera http://127.0.0.1:{port}/video sends no pictures any more" in str(lost)
            assert "secret" not in str(lost)
            client.wait_for("/health", lambda found: not found["alarms"])


class Scripted:
    """A camera whose pictures are given; None: none came in time."""

    def __init__(self, *frames: Any) -> None:
        self.frames, self.triggers, self.closed = list(frames), 0, False

    def trigger(self) -> None:
        self.triggers += 1

    def grab(self) -> bool:
        if not self.frames:
            raise CameraEnd("no more")
        self.now = self.frames.pop(0)
        if isinstance(self.now, CameraLost):
            raise self.now
        return self.now is not None

    def frame(self) -> NDArray[Any]:
        return np.asarray(self.now)

    def close(self) -> None:
        self.closed = True


def follow(
    monkeypatch: pytest.MonkeyPatch, settings: CameraSettings, *cameras: Scripted
) -> tuple[list[Any], list[str]]:
    """What was taken, and told."""
    left, taken, told = list(cameras), list[Any](), list[str]()
    monkeypatch.setattr(watch, "open_camera", lambda _: left.pop(0))
    monkeypatch.setattr(watch, "FIRST_WAIT", 0.0)
    intake = Intake({"front"}, 1)
    intake.run(on=True, single=None)
    CameraWatch(settings, intake, lambda _, camera: taken.append(camera.frame()), lambda: True, told.append).run()
    assert all(each.closed for each in cameras)
    return taken, told


def test_a_camera_that_was_lost_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CameraSettings("genicam", "cam", ("front",), 0, False, {})
    first, second = Scripted(1, None, CameraLost("gone")), Scripted(2)
    assert follow(monkeypatch, settings, first, second) == ([1, 2], ["", "gone", "", "no more"])
    assert first.triggers == 0


def test_a_camera_is_triggered_and_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    start, camera = time.monotonic(), Scripted(1, 2, 3)
    taken, _ = follow(monkeypatch, CameraSettings("genicam", "cam", ("front",), 20, True, {}), camera)
    assert (taken, camera.triggers) == ([1, 2, 3], 4)
    assert time.monotonic() - start >= 0.04
    taken, _ = follow(monkeypatch, CameraSettings("genicam", "cam", ("front",), 60_000, False, {}), Scripted(1, 2))
    assert taken == [1], "of a camera that runs freely what comes too early is let go"


def test_pictures_of_several_cameras_are_grouped_and_a_lost_one_shifts_no_part() -> None:
    intake = Intake({"top", "side"}, 1.0)
    assert intake.place(("top",), 0.0) is None, "the station does not run"
    intake.run(on=True, single=None)
    found = [intake.place((view,), at) for view, at in [
        ("top", 0.0), ("side", 0.1),  # the first part
        ("top", 2.0), ("top", 4.0), ("side", 4.1),  # of the second no side came
        ("side", 6.0), ("top", 6.1),
    ]]  # fmt: skip
    parts = [each.part for each in found if each]
    assert [parts.index(part) for part in parts] == [0, 0, 2, 3, 3, 5, 5]
    intake.run(on=True, single=None)
    twice = [intake.place(("top", "side"), at) for at in (0.0, 0.1, 0.2)]
    assert [each and each.view for each in twice] == ["top", "side", "top"]


def test_a_single_job_takes_each_view_once() -> None:
    intake = Intake({"top", "side"}, 0.5)
    intake.run(on=True, single="A 1")
    found = [intake.place((view,), at) for view, at in (("top", 0.0), ("top", 0.1), ("side", 9.0), ("side", 9.1))]
    assert found == [Place("A 1", "top"), None, Place("A 1", "side"), None]
    intake.run(on=False, single=None)
    assert intake.place(("top",), 0.0) is None


@contextmanager
def gigabit_camera() -> Iterator[str]:
    """Aravis's own, on this machine, and its name."""
    program, serial = need("arv-fake-gv-camera-0.8", "aravis-tools"), f"T{os.getpid()}"
    with subprocess.Popen([program, "-i", "127.0.0.1", "-s", serial]) as started:
        try:
            yield f"Aravis-Fake-{serial}"
        finally:
            started.terminate()


def opened(device: str, **features: object) -> AravisCamera:
    settings = CameraSettings("genicam", device, ("front",), 0, False, {"Width": 128, "Height": 64, **features})
    found: AravisCamera = until(lambda: _if_there(settings))
    return found


def _if_there(settings: CameraSettings) -> AravisCamera | None:
    with suppress(CameraLost):
        return AravisCamera(settings)
    return None


def _frame(camera: AravisCamera) -> list[NDArray[Any]]:
    """The next one, if it came whole."""
    with suppress(BadImage):
        return [camera.frame()] if camera.grab() else []
    return []


def test_pictures_by_genicam_are_copied_out_in_their_pixel_format() -> None:
    with gigabit_camera() as device:
        for pixels, shape, kind in (
            ("Mono8", (64, 128), np.uint8), ("Mono16", (64, 128), np.uint16), ("RGB8", (64, 128, 3), np.uint8),
            ("BayerBG8", (64, 128, 3), np.uint8),
        ):  # fmt: skip
            with closing(opened(device, PixelFormat=pixels)) as camera:
                first = until(partial(_frame, camera))[0]
                assert (first.shape, first.dtype) == (shape, kind)
                before = first.copy()
                for _ in range(BUFFERS + 1):  # which come into the same memory
                    until(partial(_frame, camera))
                assert np.array_equal(first, before)
        with pytest.raises(CameraLost, match=r"cannot be used \(.*NoSuch.*\): see what `arv-tool-0\.8` lists"):
            AravisCamera(CameraSettings("genicam", device, ("front",), 0, False, {"NoSuch": 1}))
    with pytest.raises(CameraLost, match="cannot be used"):
        AravisCamera(CameraSettings("genicam", device, ("front",), 0, False, {}))


def test_a_camera_by_genicam_is_triggered_by_a_single_job(tmp_path: Path) -> None:
    with gigabit_camera() as device:
        table = f"[[stations.cameras]]\nkind = 'genicam'\ndevice = '{device}'\ntrigger = true\n"
        text = station(f"start = false\n{table}features = {{ Width = 64, Height = 64, PixelFormat = 'RGB8' }}\n")
        with running(line_settings(tmp_path, text)) as client:
            client.wait_ready()
            client.ask("POST", "/stations/gears/commands/start_single")
            [found] = records(client, 1)
            assert found["outcome"] == "inspected"
            assert client.ask("GET", "/health").body["alarms"] == {}


@pytest.mark.slow
def test_a_camera_by_genicam_that_does_not_answer_is_lost() -> None:
    with gigabit_camera() as device:
        camera = opened(device)
        until(camera.grab)
    with closing(camera), pytest.raises(CameraLost, match="does not answer any more"):
        until(lambda: camera.grab() and False)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("kind = 'webcam'\n", r"line 5: .*wanted is one of opencv, genicam"),
        ("kind = 'opencv'\n", r"cameras\[0\].device: this key is needed"),
        ("kind = 'opencv'\ndevice = '0'\ntrigger = true\n", "line 7: .*OpenCV triggers no camera"),
        ("kind = 'opencv'\ndevice = '0'\nviews = ['back']\n", "line 7: .*views: front"),
        ("kind = 'opencv'\ndevice = '0'\nfeatures = { WIDHT = 3 }\n", "line 7: .*no property CAP_PROP_WIDHT"),
        ("kind = 'opencv'\ndevice = '0'\nfeatures = { FPS = 'x' }\n", "line 7: .*wanted is a number"),
        ("kind = 'opencv'\ndevice = '0'\nviews = ['front']\n[[stations.cameras]]\nkind = 'opencv'\ndevice = '1'\n",
         r"cameras\[1\].views: this key is needed"),
        ("kind = 'opencv'\ndevice = '0'\nviews = ['front']\n[[stations.cameras]]\nkind = 'opencv'\ndevice = '1'\n"
         "views = ['front']\n", "line 11: .*another camera takes front already"),
    ],
)  # fmt: skip
def test_a_camera_that_does_not_fit_is_named_with_its_line(tmp_path: Path, table: str, said: str) -> None:
    head = '[[stations]]\nname = "gears"\nrecipes = { gear = "gear.blemish" }\n'
    with pytest.raises(BadInput, match=said):
        read_text(tmp_path, f"{head}[[stations.cameras]]\n{table}")
