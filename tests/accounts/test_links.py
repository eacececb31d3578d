"""Verifying an address, resetting and changing a password, and moving to another address, over real sockets."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from talking import PASSWORD, Person, Talker

from servers import wait_until

NEW = "another long pass phrase 77"
AUTH = "/api/v1/auth"


def an_email(word="new"):
    return f"{word}-{secrets.token_hex(6)}@example.org"


def seen(answer):
    """Everything of an answer that may not depend on whether an address has an account."""
    told = {name: value for name, value in answer.headers.items() if name not in {"date", "x-request-id"}}
    return answer.status_code, answer.content, told


def is_in(client):
    return client.get(f"{AUTH}/session").status_code == 200


def ends(client):
    """Wait until every process has noticed."""
    wait_until(lambda: not is_in(client), "the end of a session", seconds=5)
    return all(not is_in(client) for _ in range(6))


def test_an_address_is_verified_by_its_link_once(place, person, mailbox, anyone, admin):
    mail = mailbox.wait(person.email, "Welcome to TradeSense")
    assert mail.link == f"{place.url}/verify-email"
    for status in (200, 401, 401):
        assert anyone.post(f"{AUTH}/verify-email", json={"token": mail.token}).status_code == status
    anyone.post(f"{AUTH}/verify-email/resend", json={"email": person.email})
    known = f"k-{secrets.token_hex(6)}@example.org"
    assert admin.post("/api/v1/users", json={"email": known, "password": PASSWORD}).status_code == 201
    anyone.post(f"{AUTH}/password/forgot", json={"email": person.email})
    mailbox.wait(person.email, "Reset")
    assert len(mailbox.of(person.email, "Welcome")) == 1, "a verified address is not asked again"


def test_a_forgotten_password_is_reset_by_the_link(person, mailbox, anyone):
    assert anyone.post(f"{AUTH}/password/forgot", json={"email": person.email}).status_code == 202
    token = mailbox.wait(person.email, "Reset").token
    weak = anyone.post(f"{AUTH}/password/reset", json={"token": token, "password": "short"})
    assert (weak.status_code, weak.json()["reason"]) == (400, "too-short")
    answer = anyone.post(f"{AUTH}/password/reset", json={"token": token, "password": NEW})
    assert (answer.status_code, answer.json()) == (200, {"status": "done"})
    assert "set-cookie" not in answer.headers, "a reset logs nobody in"
    assert ends(person)
    login = {"email": person.email, "password": PASSWORD, "mode": "token"}
    assert anyone.post(f"{AUTH}/login", json=login).status_code == 401
    assert anyone.post(f"{AUTH}/login", json={**login, "password": NEW}).status_code == 200
    assert anyone.post(f"{AUTH}/password/reset", json={"token": token, "password": NEW}).status_code == 401
    mailbox.wait(person.email, "was changed")


def test_a_reset_voids_every_other_link_of_the_account(person, mailbox, anyone):
    for _ in range(2):
        anyone.post(f"{AUTH}/password/forgot", json={"email": person.email})
    first, second = (mailbox.wait(person.email, "Reset", count=count).token for count in (1, 2))
    assert anyone.post(f"{AUTH}/password/reset", json={"token": first, "password": NEW}).status_code == 200
    assert anyone.post(f"{AUTH}/password/reset", json={"token": second, "password": NEW}).status_code == 401


def test_R05_a_change_needs_the_current_password_ends_other_sessions_and_notifies(place, person, mailbox):
    wrong = {"current_password": "not " + PASSWORD, "new_password": NEW}
    assert person.send_proved("POST", f"{AUTH}/password/change", json=wrong).status_code == 401
    assert is_in(person), "a wrong password ends no session"
    with Person(place.url, person.email) as second, Talker(place.url) as third:
        second.log_in()
        login = {"email": person.email, "password": PASSWORD, "mode": "token"}
        pair = third.post(f"{AUTH}/login", json=login).json()
        third.headers["Authorization"] = f"Bearer {pair['access_token']}"
        assert is_in(second)
        assert is_in(third)
        before = person.cookies.get("session")
        answer = person.send_proved(
            "POST", f"{AUTH}/password/change", json={"current_password": PASSWORD, "new_password": NEW}
        )
        assert answer.status_code == 200, answer.text
        assert ends(second)
        assert ends(third)
        refresh = third.post(f"{AUTH}/token/refresh", json={"refresh_token": pair["refresh_token"]})
        assert refresh.status_code == 401
    assert is_in(person)
    assert person.cookies.get("session") not in {None, before}, "R12: the session goes on under a new id"
    mailbox.wait(person.email, "was changed")


def test_R12_a_change_of_password_by_bearer_answers_with_a_new_pair(place, person):
    login = {"email": person.email, "password": PASSWORD, "mode": "token"}
    with Talker(place.url) as client:
        old = client.post(f"{AUTH}/login", json=login).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {old}"
        body = {"current_password": PASSWORD, "new_password": NEW}
        answer = client.post(f"{AUTH}/password/change", json=body)
        assert answer.status_code == 200, answer.text
        assert "set-cookie" not in answer.headers
        assert ends(client)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        assert is_in(client)


def test_R07_asking_for_a_link_answers_the_same_whether_the_address_is_known(person, anyone):
    for route in ("password/forgot", "verify-email/resend"):
        answers = [anyone.post(f"{AUTH}/{route}", json={"email": email}) for email in (person.email, an_email())]
        assert seen(answers[0]) == seen(answers[1])
        assert answers[0].status_code == 202


def test_R07_a_sign_up_with_a_known_address_is_told_by_mail_alone(place, person, mailbox):
    with Person(place.url, person.email.upper().replace("EXAMPLE.ORG", "example.org"), NEW) as stranger:
        assert stranger.sign_up().status_code == 202
    mail = mailbox.wait(person.email, "already")
    assert "#token=" not in mail.text
    with Talker(place.url) as client:
        login = {"email": person.email, "password": NEW, "mode": "token"}
        assert client.post(f"{AUTH}/login", json=login).status_code == 401, "the password is the owner's still"


def test_R07_moving_to_an_address_answers_the_same_whether_it_is_known(place, person, mailbox):
    with Person(place.url, an_email("other")) as other:
        other.sign_up()
        answers = [
            person.send_proved("POST", f"{AUTH}/email/change", json={"email": email, "password": PASSWORD})
            for email in (other.email, an_email())
        ]
        assert seen(answers[0]) == seen(answers[1])
        mail = mailbox.wait(other.email, "has an account")
        assert person.email not in mail.text, "whose move it was is nobody else's business"
        assert "#token=" not in mail.text


def test_an_account_moves_once_both_addresses_have_confirmed(person, mailbox, anyone):
    email = an_email("moved")
    body = {"email": email, "password": PASSWORD}
    assert person.send_proved("POST", f"{AUTH}/email/change", json={**body, "password": "x"}).status_code == 401
    assert person.send_proved("POST", f"{AUTH}/email/change", json=body).status_code == 202
    old, new = mailbox.wait(person.email, "Confirm the move").token, mailbox.wait(email, "Confirm your new").token
    login = {"email": email, "password": PASSWORD, "mode": "token"}
    assert anyone.post(f"{AUTH}/email/confirm", json={"token": new}).json() == {"status": "half"}
    assert anyone.post(f"{AUTH}/login", json=login).status_code == 401
    assert anyone.post(f"{AUTH}/email/confirm", json={"token": new}).status_code == 401, "good once"
    assert anyone.post(f"{AUTH}/email/confirm", json={"token": old}).json() == {"status": "done"}
    assert anyone.post(f"{AUTH}/login", json=login).status_code == 200
    assert anyone.post(f"{AUTH}/login", json={**login, "email": person.email}).status_code == 401
    for to in (person.email, email):
        mailbox.wait(to, "was changed")


def test_R57_a_reset_goes_to_the_stored_address_whatever_was_typed(place, mailbox, anyone):
    name = f"Ka-{secrets.token_hex(6)}"
    stored = f"{name}@example.org"
    with Person(place.url, stored) as someone:
        someone.sign_up()
    for typed in (stored.lower(), stored.upper(), f"  {stored}  ", f"{name}@EXAMPLE.org"):
        assert anyone.post(f"{AUTH}/password/forgot", json={"email": typed}).status_code == 202
        mailbox.wait(stored, "Reset")
    full_width = f"{name.replace('K', chr(0xFF2B))}@example.org"
    kelvin = f"{name.replace('K', chr(0x212A))}@example.org"
    # The Kelvin sign is the letter K in NFC, so that it names the account; the full-width letter is none of an address.
    for trick, status in ((full_width, 400), (kelvin, 202)):
        assert anyone.post(f"{AUTH}/password/forgot", json={"email": trick}).status_code == status
    mailbox.wait(stored, "Reset", count=5)
    assert not mailbox.of(full_width)
    assert not mailbox.of(kelvin)


def test_R27_a_poisoned_host_changes_no_link(place, person, mailbox, anyone):
    for name in ("X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"):
        headers = {name: "host=evil.example" if name == "Forwarded" else "evil.example"}
        anyone.post(f"{AUTH}/password/forgot", json={"email": person.email}, headers=headers)
    mailbox.wait(person.email, "Reset", count=3)
    for mail in mailbox.of(person.email, "Reset"):
        assert mail.link == f"{place.url}/reset-password"
    poisoned = anyone.post(f"{AUTH}/password/forgot", json={"email": person.email}, headers={"Host": "evil.example"})
    assert poisoned.status_code == 400


@pytest.mark.parametrize(
    "token", ["", "x", "x" * 43, "x" * 100_000, "\u2028" * 43], ids=["empty", "short", "made up", "long", "odd"]
)
def test_a_token_that_is_none_is_refused(anyone, token):
    for route in ("verify-email", "email/confirm"):
        assert anyone.post(f"{AUTH}/{route}", json={"token": token}).status_code == 401


def test_F09_of_32_concurrent_uses_of_a_link_one_wins(place, person, mailbox):
    with Talker(place.url) as client:
        client.post(f"{AUTH}/password/forgot", json={"email": person.email})
        reset = mailbox.wait(person.email, "Reset").token
        verify = mailbox.wait(person.email, "Welcome").token
    for route, body in (("verify-email", {"token": verify}), ("password/reset", {"token": reset, "password": NEW})):

        def use(_, path=f"{AUTH}/{route}", body=body):
            with Talker(place.url) as client:
                return client.post(path, json=body).status_code

        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(use, range(32)))
        assert answers.count(200) == 1, answers
        assert set(answers) <= {200, 401, 409, 429}, answers
