"""Accounts over real sockets: one's own, and those of others for administrators."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from talking import PASSWORD, Person, Talker
from test_links import AUTH, ends, is_in

from servers import wait_until

ME = f"{AUTH}/account"


def find(admin, email):
    cursor = None
    while True:
        page = admin.get("/api/v1/users", params={"limit": 200, **({"cursor": cursor} if cursor else {})}).json()
        for user in page["items"]:
            if user["email"] == email:
                return user["id"]
        cursor = page["cursor"]
        assert cursor, f"{email} is not listed"


def test_a_profile_is_read_and_changed_field_by_field(person):
    assert person.get(ME).json()["name"] == ""
    changed = person.send_proved("PATCH", ME, json={"name": "Ada 🦄"})
    assert (changed.status_code, changed.json()["name"]) == (200, "Ada 🦄")
    assert person.send_proved("PATCH", ME, json={"locale": "de"}).json()["name"] == "Ada 🦄"
    told = person.get(ME).json()
    assert (told["name"], told["locale"], told["email"], told["verified"]) == ("Ada 🦄", "de", person.email, False)


OTHERS = {
    "language": {"locale": "tlh"},
    "line": {"name": "x\ny"},
    "escape": {"name": "\x1b[2J"},
    "long": {"name": "x" * 201},
    "roles": {"roles": ["admin"]},
    "id": {"id": "x"},
    "verified": {"verified": True},
    "email": {"email": "x@example.org"},
    "disabled": {"disabled": False},
    "epoch": {"epoch": 0},
}


@pytest.mark.parametrize("body", OTHERS.values(), ids=OTHERS)
def test_R48_a_profile_takes_its_own_fields_alone(person, body):
    assert person.send_proved("PATCH", ME, json=body).status_code == 400
    assert person.get(ME).json()["roles"] == ["user"]


def test_a_mail_speaks_the_language_of_the_browser_and_then_of_the_account(place, mailbox):
    with Person(place.url, f"sprache-{secrets.token_hex(6)}@example.org") as person:
        person.headers["Accept-Language"] = "de-AT,de;q=0.9,en;q=0.5"
        person.sign_up()
        mailbox.wait(person.email, "Willkommen")
        person.log_in()
        assert person.get(ME).json()["locale"] == "de"
        person.send_proved("PATCH", ME, json={"locale": "en"})
        person.post(f"{AUTH}/password/forgot", json={"email": person.email})
        mailbox.wait(person.email, "Reset your password")


def test_one_takes_along_all_that_is_kept(person):
    answer = person.get(f"{ME}/export")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    told = answer.json()
    assert told["format"] == "tradesense-account/1"
    assert told["account"]["email"] == person.email
    assert {event["action"] for event in told["events"]} >= {"identity.create", "identity.login"}
    made = person.send_proved("POST", "/api/v1/api-keys", json={"name": "mine", "scopes": ["flags:evaluate"]}).json()
    answer = person.get(f"{ME}/export")
    (session,), (key,) = answer.json()["sessions"], answer.json()["api_keys"]
    assert session["id"] == person.get(f"{AUTH}/session").json()["session"]["id"]
    assert {name: key[name] for name in ("id", "name", "prefix", "scopes")} == {
        name: made[name] for name in ("id", "name", "prefix", "scopes")
    }
    for secret in (made["key"], person.cookies.get("session")):
        assert secret not in answer.text
    for word in ("argon2", "password_hash", "token_hash", "key_hash"):
        assert word not in answer.text


def test_one_deletes_ones_own_account_with_the_password(place, person, mailbox, admin):
    user_id = person.get(ME).json()["id"]
    assert person.send_proved("POST", f"{ME}/delete", json={"password": "not " + PASSWORD}).status_code == 401
    assert is_in(person)
    assert person.send_proved("POST", f"{ME}/delete", json={"password": PASSWORD}).status_code == 204
    with Talker(place.url) as client:
        login = {"email": person.email, "password": PASSWORD, "mode": "token"}
        assert client.post(f"{AUTH}/login", json=login).status_code == 401
    assert admin.get(f"/api/v1/users/{user_id}").status_code == 404
    mailbox.wait(person.email, "was deleted")
    with Person(place.url, person.email) as again:
        again.sign_up()
        again.log_in()


def test_R15_disabling_and_deleting_hold_on_the_next_request_in_every_process(place, person, admin):
    user_id = find(admin, person.email)
    login = {"email": person.email, "password": PASSWORD, "mode": "token"}
    with Talker(place.url) as by_token:
        pair = by_token.post(f"{AUTH}/login", json=login).json()
        by_token.headers["Authorization"] = f"Bearer {pair['access_token']}"
        assert is_in(by_token)
        disabled = admin.patch(f"/api/v1/users/{user_id}", json={"disabled": True})
        assert (disabled.status_code, disabled.json()["disabled"]) == (200, True)
        assert ends(by_token)
        assert ends(person)

        def ask(_):
            with Talker(place.url, bearer=pair["access_token"]) as client:
                return client.get(f"{AUTH}/session").status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, range(50))) == {401}
        refresh = by_token.post(f"{AUTH}/token/refresh", json={"refresh_token": pair["refresh_token"]})
        assert refresh.status_code == 401
        assert by_token.post(f"{AUTH}/login", json=login).status_code == 401
        assert admin.patch(f"/api/v1/users/{user_id}", json={"disabled": False}).status_code == 200
        assert not is_in(by_token), "what was ended stays ended"
        again = by_token.post(f"{AUTH}/login", json=login)
        assert again.status_code == 200
        by_token.headers["Authorization"] = f"Bearer {again.json()['access_token']}"
        assert admin.delete(f"/api/v1/users/{user_id}").status_code == 204
        assert ends(by_token)
    assert admin.delete(f"/api/v1/users/{user_id}").status_code == 404


def test_an_administrator_reads_and_changes_an_account(person, admin):
    user_id = find(admin, person.email)
    assert admin.get(f"/api/v1/users/{user_id}").json()["email"] == person.email
    assert admin.patch(f"/api/v1/users/{user_id}", json={"name": "Ada"}).json()["name"] == "Ada"
    assert admin.get(f"/api/v1/users/{user_id}/export").json()["account"]["name"] == "Ada"
    for body in ({"roles": ["admin"]}, {"email": "x@example.org"}, {"password_hash": "x"}):
        assert admin.patch(f"/api/v1/users/{user_id}", json=body).status_code == 400
    for absent in ("nobody", "00000000-0000-7000-8000-000000000000", "x" * 64):
        assert admin.get(f"/api/v1/users/{absent}").status_code == 404


def test_R48_who_is_no_administrator_learns_nothing_of_other_accounts(person, admin):
    user_id = find(admin, person.email)
    for target in (user_id, "nobody"):
        path = f"/api/v1/users/{target}"
        assert person.get(path).status_code == 403
        assert person.get(f"{path}/export").status_code == 403
        assert person.send_proved("PATCH", path, json={"disabled": True}).status_code == 403
        assert person.send_proved("DELETE", path).status_code == 403


def test_why_somebody_may_or_may_not_is_told_to_them_and_to_administrators(person, admin):
    question, mine, theirs = {"permission": "users:write"}, f"{AUTH}/explain", "/api/v1/users/{}/explain"
    user_id = person.get(ME).json()["id"]
    refused = person.send_proved("POST", mine, json=question).json()
    assert (refused["allowed"], refused["why"], refused["permission"]) == (False, "not-granted", "users:write")
    granted = admin.post(mine, json=question).json()
    assert (granted["allowed"], granted["why"], granted["role"]) == (True, "granted", "admin")
    assert admin.post(theirs.format(user_id), json=question).json() == refused
    assert person.send_proved("POST", theirs.format(user_id), json=question).status_code == 403
    assert admin.post(theirs.format("nobody"), json=question).status_code == 404
    assert admin.post(mine, json={"permission": "no permission"}).status_code == 400


def test_the_last_administrator_stays(admin):
    me = admin.get(f"{AUTH}/session").json()["user"]["id"]
    others = [
        user["id"] for user in admin.get("/api/v1/users", params={"role": "admin"}).json()["items"] if user["id"] != me
    ]
    assert not others
    assert admin.patch(f"/api/v1/users/{me}", json={"disabled": True}).status_code == 409
    assert admin.delete(f"/api/v1/users/{me}").status_code == 409
    wait_until(lambda: is_in(admin), "the administrator", seconds=5)


def test_R57_spellings_of_one_address_are_one_account(admin):
    name = f"Kim.{secrets.token_hex(5)}"
    locals_ = [name, name.upper(), name.lower(), f"  {name}", name.replace("K", "\u212a"), name.swapcase()]
    domains = [
        "Bücher.example",
        "BÜCHER.EXAMPLE",
        "bu\u0308cher.example",
        "xn--bcher-kva.example ",
        "XN--BCHER-KVA.example",
        "bücher\u3002example",
    ]

    def create(email):
        return admin.post("/api/v1/users", json={"email": email, "password": PASSWORD})

    first, *others = (f"{local}@{domain}" for local in locals_ for domain in domains)
    made = create(first)
    assert made.status_code == 201, made.text
    assert made.json()["email"] == f"{name}@xn--bcher-kva.example", "the local part stays as typed"
    assert len(set(others)) >= 30
    assert {email: status for email in others if (status := create(email).status_code) != 409} == {}
    for odd in (
        "\uff4eame@example.org",
        "n\u0430me@example.org",
        "na me@example.org",
        "ma\u00adme@example.org",
        "a@b@c.org",
    ):
        refused = admin.post("/api/v1/users", json={"email": odd, "password": PASSWORD})
        assert (refused.status_code, refused.json()["type"]) == (400, "urn:tradesense:problem:invalid-email")
