"""moto's S3 behind a wait. argv: port, milliseconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

port, wait = int(sys.argv[1]), float(sys.argv[2]) / 1000
store = DomainDispatcherApplication(create_backend_app)


def late(surroundings: dict[str, Any], start: Any) -> Iterable[bytes]:
    time.sleep(wait)
    found: Iterable[bytes] = store(surroundings, start)
    return found


WSGIRequestHandler.protocol_version = "HTTP/1.1"  # connections are kept, as by a real store
server = make_server("127.0.0.1", port, late, threaded=True)
print("ready", flush=True)
server.serve_forever()
