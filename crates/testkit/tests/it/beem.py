#!/usr/bin/env python3
"""Keeps the promises of `beem keygen --cluster`, `serve` and `admin` that the cluster of the testkit builds on."""

import http.server
import pathlib
import sys
import threading

command, args = sys.argv[1], sys.argv[2:]
given = [(args[i], args[i + 1]) for i in range(len(args) - 1) if args[i].startswith("--")]

if command == "keygen":
    folder = pathlib.Path(dict(given)["--cluster"])
    databases = [v for k, v in given if k == "--database"]
    assert sorted(d.split("=")[0] for d in databases) == ["authz", "hooks", "identity", "ledger"], databases
    assert all("?host=/" in d for d in databases) and "--redis" in dict(given)
    gateways = [v for k, v in given if k == "--gateway"]
    places = {f"gateway-{n}": g for n, g in enumerate(gateways, 1)}
    places |= dict(v.split("=") for k, v in given if k == "--service")
    admins = dict(v.split("=") for k, v in given if k == "--admin")
    for name, place in places.items():
        (folder / f"{name}.toml").write_text(f"{place} {admins[name]}")
elif command == "serve":
    places = pathlib.Path(dict(given)["--config"]).read_text().split()
    places = [(place.split(":")[0], int(place.split(":")[1])) for place in places]

    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()

    servers = [http.server.HTTPServer(place, Ready) for place in places]
    threading.Thread(target=servers[1].serve_forever, daemon=True).start()
    servers[0].serve_forever()
elif command == "admin":
    assert "create-account" in args
    folder = pathlib.Path(dict(given)["--client-key-out"])
    folder.mkdir()
    (folder / "client.json").write_text("{}")
