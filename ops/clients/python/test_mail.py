"""Sign-up and a forgotten password, through a real mail server with STARTTLS and a password."""

import uuid

import httpx2
import pytest

import targets
from mailbox import Mailbox, token_of

PASSWORD, OTHER = "plum orbit 7 lantern", "quiet harbour of nine"


@pytest.fixture(scope="module")
def mailbox():
    mailbox = Mailbox(targets.setting("ATELIER_MAIL_SERVER"), targets.setting("ATELIER_MAIL_CERTIFICATE"))
    yield mailbox
    mailbox.close()


@pytest.fixture
def nobody(host):
    """A client without a key, as a page of sign-up is."""
    with httpx2.Client(base_url=f"{host.root}/api/v1/auth", timeout=targets.TIMEOUT_S, trust_env=False) as client:
        yield client


def test_an_account_is_made_and_its_password_set_anew_by_mail(nobody, mailbox):
    address = f"ada-{uuid.uuid4().hex}@atelier.dev"

    def sign_in(password: str) -> int:
        return nobody.post("/sign-in", json={"name": address, "password": password}).status_code

    assert nobody.post("/sign-up", json={"email": address}).status_code == 202
    message = mailbox.next_to(address)
    assert message["from"] == "Atelier <noreply@atelier.dev>"
    assert message["auto-submitted"] == "auto-generated"
    assert message["subject"] == "Please confirm your address"
    assert message["date"] and message["message-id"]
    assert sign_in(PASSWORD) == 401
    made = nobody.post("/sign-up/verify", json={"token": token_of(message), "password": PASSWORD})
    assert made.status_code == 200, made.text
    assert made.json()["name"] == address and "httponly" in made.headers["set-cookie"].lower()
    nobody.cookies.clear()
    assert sign_in(PASSWORD) == 200
    nobody.cookies.clear()

    assert nobody.post("/sign-up", json={"email": address}).status_code == 202
    assert mailbox.next_to(address)["subject"] == "You have an account already"

    assert nobody.post("/password/forgot", json={"email": address}).status_code == 202
    reset = {"token": token_of(mailbox.next_to(address)), "password": OTHER}
    assert nobody.post("/password/reset", json=reset).status_code == 204
    again = nobody.post("/password/reset", json=reset)
    assert (again.status_code, again.json()["code"]) == (400, "token_over")
    assert sign_in(PASSWORD) == 401
    assert sign_in(OTHER) == 200
