"""A real SMTP server for tests: keeps each mail it takes as a file. Prints its port, ends with its stdin.

Arguments: the folder, and a suffix of addresses that are not to be had.
"""

import pathlib
import sys

from aiosmtpd.controller import Controller


class Keep:
    def __init__(self, folder, refused):
        self.folder, self.refused, self.count = pathlib.Path(folder), refused, 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.endswith(self.refused):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        name = self.folder / f"{self.count:06}.part"
        name.write_bytes(envelope.content)
        name.rename(name.with_suffix(".eml"))
        return "250 kept"


controller = Controller(Keep(sys.argv[1], sys.argv[2]), hostname="127.0.0.1", port=int(sys.argv[3]))
controller.start()
print("ready", flush=True)
sys.stdin.read()
controller.stop()
