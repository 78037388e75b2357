"""A mail server for tests: aiosmtpd, which shares no code with the sender. It tells on its standard output, a JSON object a
line, first the port, then each mail as Python's own email package reads it.

Options are a JSON object in the first argument: `user` and `password` ask for AUTH, `certificate` and `key` offer
STARTTLS, `require_tls` refuses without, `wrapped` speaks TLS from the first byte, `mechanism` is the only one of AUTH.
The local part of a recipient tells what to answer: `rcpt-550` refuses at RCPT, `data-451` after the content.
"""

import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

options = json.loads(sys.argv[1])
# It warns of what a test asks of it, and tells the whole story of every client that it did not convince.
warnings.simplefilter("ignore")
logging.disable()


def tell(what):
    print(json.dumps(what), flush=True)


def answer_for(address, command):
    wanted, _, code = address.split("@")[0].partition("-")
    return f"{code} 4.2.0 no, <{address}>" if wanted == command else None


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        envelope.mail_from = address
        return "550 5.7.1 not from here" if address.startswith("nobody@") else "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        refusal = answer_for(address, "rcpt")
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        refusal = answer_for(envelope.rcpt_tos[0], "data")
        if refusal:
            return refusal
        raw = envelope.original_content
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        parts = {part.get_content_type(): part for part in mail.walk() if not part.is_multipart()}
        tell({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "user": (session.auth_data.login.decode() if session.authenticated else None),
            "hello": session.host_name,
            "headers": [[name, str(value)] for name, value in mail.items()],
            "recipients": [[a.display_name, a.addr_spec] for a in mail["to"].addresses],
            "type": mail.get_content_type(),
            "parts": {kind: part.get_content().replace("\r\n", "\n") for kind, part in parts.items()},
            "charsets": [part.get_content_charset() for part in parts.values()],
            "defects": [str(d) for part in mail.walk() for d in part.defects],
            "longest_line": max(len(line) for line in raw.split(b"\r\n")),
            "bare_newlines": raw.replace(b"\r\n", b"").count(b"\n"),
        })
        return "250 it is ours"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (
        options["user"],
        options["password"],
    )
    return AuthResult(success=good, handled=False, auth_data=data)


def tls():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options["certificate"], options["key"])
    return context


def smtp():
    settings = {}
    if "user" in options:
        settings.update(authenticator=authenticate, auth_required=True, auth_require_tls=False)
        if "mechanism" in options:
            settings.update(auth_exclude_mechanism={"PLAIN", "LOGIN"} - {options["mechanism"]})
    if "certificate" in options and not options.get("wrapped"):
        settings.update(tls_context=tls(), require_starttls=options.get("require_tls", False))
    return SMTP(Handler(), hostname="mail.test", loop=asyncio.get_running_loop(), **settings)


async def serve():
    loop = asyncio.get_running_loop()
    context = tls() if options.get("wrapped") else None
    server = await loop.create_server(smtp, host="127.0.0.1", port=0, ssl=context)
    tell({"port": server.sockets[0].getsockname()[1]})
    # Whoever started it holds the other end of its standard input.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(serve())
