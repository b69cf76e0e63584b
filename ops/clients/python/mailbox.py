"""A mail server on this machine: lets nobody in without STARTTLS and a password."""

import email
import email.message
import email.policy
import queue
import re
import ssl

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

WAIT_S = 30.0
USER, PASSWORD = b"atelier", b"orchard wall 9"


class Mailbox:
    """Takes all mail, whoever it is for."""

    def __init__(self, address: str, certificate: str) -> None:
        host, port = address.rsplit(":", 1)
        self._taken: queue.Queue[email.message.EmailMessage] = queue.Queue(maxsize=1000)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self._controller = Controller(
            self,
            hostname=host,
            port=int(port),
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._let_in,
        )
        self._controller.start()

    @staticmethod
    def _let_in(server, session, envelope, mechanism, who) -> AuthResult:
        return AuthResult(success=isinstance(who, LoginPassword) and (who.login, who.password) == (USER, PASSWORD))

    async def handle_DATA(self, server, session, envelope) -> str:
        self._taken.put_nowait(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"

    def next_to(self, address: str) -> email.message.EmailMessage:
        """The oldest mail to an address that was not looked at yet."""
        while True:
            message = self._taken.get(timeout=WAIT_S)
            if message["to"] == address:
                return message

    def token_to(self, address: str) -> str:
        """The token in the oldest mail to an address that was not looked at yet."""
        return token_of(self.next_to(address))

    def close(self) -> None:
        self._controller.stop()


def token_of(message: email.message.EmailMessage) -> str:
    """The token that a mail has on a line of its own."""
    found = re.search(r"^[A-Za-z0-9_-]{43}$", message.get_content().replace("\r\n", "\n"), re.MULTILINE)
    assert found, message
    return found.group()
