"""Guessing is slowed down, and nobody is locked out by it, over real sockets and in all processes together."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from talking import PASSWORD, Person, Talker

AUTH = "/api/v1/auth"
ATTEMPTS = 5


def guess(client, email, password="not the password of it", **headers):
    body = {"email": email, "password": password, "mode": "token"}
    return client.post(f"{AUTH}/login", json=body, headers=headers)


def an_email(word="victim"):
    return f"{word}-{secrets.token_hex(6)}@example.org"


def test_R08_all_spellings_of_an_account_share_its_attempts(anyone):
    name = f"Bob{secrets.token_hex(6)}"
    spellings = [f"{name}@example.org", f"{name.lower()}@example.org ", f"{name.upper()}@EXAMPLE.org"]
    spellings += [f" {name}@example.org", f"{name}@example.org", f"{name.swapcase()}@example.org"]
    answers = [guess(anyone, email) for email in spellings]
    assert [answer.status_code for answer in answers] == [401] * ATTEMPTS + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in name)
    assert guess(anyone, f"{wide}@example.org").status_code == 429, "full-width letters are the same letters"


def test_R08_concurrent_guesses_get_no_more_attempts(place):
    email = an_email()

    def one(_):
        with Talker(place.url) as client:
            return guess(client, email).status_code

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(40)))
    assert answers.count(401) == ATTEMPTS, answers
    assert set(answers) == {401, 429}


def test_R08_a_known_and_an_unknown_account_are_refused_alike(person, anyone):
    told = []
    for email in (person.email, an_email("nobody")):
        answers = [guess(anyone, email) for _ in range(ATTEMPTS + 1)]
        body = {name: value for name, value in answers[-1].json().items() if name not in {"instance", "correlation_id"}}
        body.pop("detail")
        told.append(([answer.status_code for answer in answers][1:], body))
    assert told[0][1] == told[1][1]
    assert told[0][0][-1] == told[1][0][-1] == 429


def test_R10_an_attacker_locks_nobody_out_of_a_browser_they_know(place, person, anyone):
    for _ in range(ATTEMPTS + 1):
        refused = guess(anyone, person.email)
    assert refused.status_code == 429
    assert guess(anyone, person.email, PASSWORD).status_code == 429, "elsewhere even the right password has to wait"
    person.log_in()
    with Person(place.url, person.email) as thief:
        thief.cookies.set("browser", person.cookies.get("browser"))
        thief.visit()
        body = {"email": person.email, "password": "a guess of the thief"}
        statuses = [thief.send_proved("POST", f"{AUTH}/login", json=body).status_code for _ in range(ATTEMPTS + 1)]
        assert statuses[-1] == 429, "a stolen cookie brings no more attempts than an account has"
        assert statuses.count(401) <= ATTEMPTS
        body = {"email": an_email("other"), "password": "a guess of the thief"}
        statuses = [thief.send_proved("POST", f"{AUTH}/login", json=body).status_code for _ in range(ATTEMPTS + 1)]
        assert statuses[-1] == 429, "it is of no use for another account"


def test_R08_good_logins_between_guesses_buy_no_more_of_them_than_a_row_has(person, anyone):
    for _ in range(2):
        assert [guess(anyone, person.email).status_code for _ in range(ATTEMPTS - 1)] == [401] * (ATTEMPTS - 1)
        assert guess(anyone, person.email, PASSWORD).status_code == 200
    statuses = [guess(anyone, person.email).status_code for _ in range(ATTEMPTS + 2)]
    assert statuses == [401] * ATTEMPTS + [429] * 2
    assert guess(anyone, person.email, PASSWORD).status_code == 429


def test_R08_who_proves_the_account_by_mail_need_not_wait(person, anyone, mailbox):
    for _ in range(ATTEMPTS + 1):
        refused = guess(anyone, person.email)
    assert refused.status_code == 429
    anyone.post(f"{AUTH}/password/forgot", json={"email": person.email})
    token = mailbox.wait(person.email, "Reset").token
    new = "a pass phrase of afterwards 9"
    assert anyone.post(f"{AUTH}/password/reset", json={"token": token, "password": new}).status_code == 200
    assert guess(anyone, person.email, new).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"])
def test_R09_an_address_of_ones_own_invention_is_not_believed(place, header):
    email = an_email()
    with Talker(place.url) as client:
        statuses = [
            guess(client, email, **{header: f"198.51.100.{number}"}).status_code for number in range(ATTEMPTS + 2)
        ]
    assert statuses == [401] * ATTEMPTS + [429] * 2


def test_R13_the_browsers_cookie_is_for_http_alone_and_this_host(person):
    cookies = person.log_in().headers.get_list("set-cookie")
    (cookie,) = [value for value in cookies if value.startswith("browser=")]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "path=/", "samesite=lax"} <= attributes
    assert not any(part.startswith("domain") for part in attributes)
