"""Where one may go on to after a link of a mail, over real sockets: forty ways to be led elsewhere are refused."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs

import pytest
from test_links import AUTH, NEW

ELSEWHERE = (
    "https://evil.example",
    "https://evil.example/account",
    "http://evil.example",
    "HTTPS://EVIL.EXAMPLE",
    "//evil.example",
    "///evil.example",
    "////evil.example/x",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    "/\r\nLocation: https://evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\x00/evil.example",
    "/%09/evil.example",
    "/%0d%0aSet-Cookie:x",
    "/%5cevil.example",
    "/%2fevil.example",
    "/%2F%2Fevil.example",
    "/..//evil.example",
    "/.//evil.example",
    "/%2e%2e//evil.example",
    "/account/../..//evil.example",
    "/account//evil.example",
    "/@evil.example",
    "/%40evil.example",
    "@evil.example",
    "https://app.example.org@evil.example/welcome",
    "http://localhost:80@evil.example",
    "https://app.example.org.evil.example/welcome",
    "https://app.example.org/welcome/",
    "https://app.example.org/welcome?next=//evil.example",
    "https://app.example.org:444/welcome",
    "http://app.example.org/welcome",
    "https://APP.example.org/welcome",
    "https://user@app.example.org/welcome",
    "https://app.example.org/welcome#x",
    "https://\u0430pp.example.org/welcome",
    "/\u3002evil.example",
    "/\uff0fevil.example",
    "/\u2028/evil.example",
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "account",
    "?next=x",
    "#x",
    "/account#//evil.example",
    "/account?next=https://a@evil.example",
    "/%zz",
    "/%",
    "/" + "a" * 2048,
)
WITHIN = ("/", "/account", "/account/", "/account?tab=2&q=a%20b", "/a/b;c=1/d~e", "https://app.example.org/welcome")


def answers(client, route, place, **body):
    return client.post(f"{AUTH}/{route}", json={**body, "return_to": place})


def test_R29_nobody_is_led_elsewhere(person, anyone, mailbox):
    assert len(ELSEWHERE) >= 40
    mail = mailbox.wait(person.email, "Welcome")
    for route, body in (("password/forgot", {"email": person.email}), ("verify-email", {"token": mail.token})):
        told = {where: answers(anyone, route, where, **body).status_code for where in ELSEWHERE}
        assert {where: status for where, status in told.items() if status != 400} == {}, route
    for where in ELSEWHERE[:3]:
        sign_up = {"email": f"r-{secrets.token_hex(6)}@example.org", "password": NEW, "return_to": where}
        assert person.send_proved("POST", f"{AUTH}/register", json=sign_up).status_code == 400
        assert answers(anyone, "verify-email/resend", where, email=person.email).status_code == 400
        assert answers(anyone, "password/reset", where, token="x" * 43, password=NEW).status_code == 400
    assert len(mailbox.of(person.email)) == 1, "no mail carries any of it"
    assert answers(anyone, "verify-email", "/account", token=mail.token).json() == {
        "status": "done",
        "return_to": "/account",
    }, "what was refused has not used the link up"


@pytest.mark.parametrize("number", range(0, len(WITHIN), 3))
def test_R29_a_place_of_ours_goes_along_with_the_link(place, person, anyone, mailbox, number):
    for count, where in enumerate(WITHIN[number : number + 3], 1):
        assert answers(anyone, "password/forgot", where, email=person.email).status_code == 202
        mail = mailbox.wait(person.email, "Reset", count=count)
        assert mail.link == f"{place.url}/reset-password"
        token, _, onward = mail.token.partition("&")
        assert parse_qs(onward) == {"return_to": [where]}
    done = answers(anyone, "password/reset", where, token=token, password=NEW)
    assert (done.status_code, done.json()) == (200, {"status": "done", "return_to": where})
