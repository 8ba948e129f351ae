"""The page, served on this machine alone."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 8000  # or, where that is taken, any that is free


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of its directory, and says nothing."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript", ".wasm": "application/wasm"}

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # the next build shows
        super().end_headers()

    def log_message(self, *words: Any) -> None:
        pass


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of the folder's files, on this machine; port: 0 takes any that is free. OSError where it is taken."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=str(folder)))


def address(of: ThreadingHTTPServer) -> str:
    """What to open in a browser."""
    return f"http://localhost:{of.server_port}/"


def serve(folder: Path) -> None:
    """Serve the folder until Ctrl-C, having said where."""
    try:
        found = server(folder, PORT)
    except OSError:
        found = server(folder)
    with found:
        print(f"the page is at {address(found)}, and in {folder} for any web server; Ctrl-C ends", flush=True)
        try:
            found.serve_forever()
        except KeyboardInterrupt:
            print()
