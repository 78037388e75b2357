#!/usr/bin/env python3
"""Keeps the promises of `beem keygen --cluster`, `serve` and `admin` that the cluster of the testkit builds on."""

import http.server
import pathlib
import sys

command, args = sys.argv[1], sys.argv[2:]
given = [(args[i], args[i + 1]) for i in range(len(args) - 1) if args[i].startswith("--")]

if command == "keygen":
    folder = pathlib.Path(dict(given)["--cluster"])
    databases = [v for k, v in given if k == "--database"]
    assert sorted(d.split("=")[0] for d in databases) == ["authz", "identity"], databases
    assert all("?host=/" in d for d in databases) and "--redis" in dict(given)
    gateways = [v for k, v in given if k == "--gateway"]
    places = {f"gateway-{n}": g for n, g in enumerate(gateways, 1)}
    places |= dict(v.split("=") for k, v in given if k == "--service")
    for name, place in places.items():
        (folder / f"{name}.toml").write_text(place)
elif command == "serve":
    host, port = pathlib.Path(dict(given)["--config"]).read_text().split(":")

    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()

    http.server.HTTPServer((host, int(port)), Ready).serve_forever()
elif command == "admin":
    assert "create-account" in args
    folder = pathlib.Path(dict(given)["--client-key-out"])
    folder.mkdir()
    (folder / "client.json").write_text("{}")
