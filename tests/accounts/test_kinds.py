"""No kind of token stands in for another: every kind in every place, and only the diagonal works."""

from __future__ import annotations

import secrets

import pytest
from talking import PASSWORD, Person, Talker

AUTH = "/api/v1/auth"
MINE = f"{AUTH}/sessions"
NEW = "a new and long pass phrase"


class Kinds:
    """One token of each kind, all of one person, and every place that takes one."""

    def __init__(self, place, mailbox, person, visitor):
        self.place, self.person, self.visitor = place, person, visitor
        self.mailbox, self.email, self.next_email = mailbox, person.email, f"next-{person.email}"
        with Talker(place.url) as client:
            body = {"email": self.email, "password": PASSWORD, "mode": "token"}
            pair = client.post(f"{AUTH}/login", json=body).json()
        made = person.send_proved("POST", "/api/v1/api-keys", json={"name": "one", "scopes": ["identity:self"]})
        person.send_proved("POST", f"{AUTH}/email/change", json={"email": self.next_email, "password": PASSWORD})
        self.tokens = {
            "session": person.cookies.get("session"),
            "access": pair["access_token"],
            "refresh": pair["refresh_token"],
            "key": made.json()["key"],
            "csrf": person.csrf,
            "visit": visitor.cookies.get("visit"),
            "visit-csrf": visitor.csrf,
            "browser": person.cookies.get("browser"),
            "verify": mailbox.wait(self.email, "Welcome").token,
            "reset": self.asked_for_reset(self.email),
            "change-old": mailbox.wait(self.email, "Confirm the move").token,
            "change-new": mailbox.wait(self.next_email, "Confirm your new").token,
        }
        self.places = {
            "session": self.as_session,
            "bearer": self.as_bearer,
            "key": self.as_key,
            "refresh": self.as_refresh,
            "csrf": self.as_csrf,
            "visit": self.as_visit,
            "visit-csrf": self.as_visit_csrf,
            "browser": self.as_browser,
            "verify": lambda token: self.by_link("verify-email", token),
            "change": lambda token: self.by_link("email/confirm", token),
            "reset": lambda token: self.by_link("password/reset", token, password=NEW),
        }

    def asked_for_reset(self, email):
        with Talker(self.place.url) as client:
            client.post(f"{AUTH}/password/forgot", json={"email": email})
        return self.mailbox.wait(email, "Reset").token

    def burn(self):
        """Use up what attempts the account has, elsewhere than in its owner's browser."""
        with Talker(self.place.url) as client:
            body = {"email": self.email, "password": "a wrong guess of it", "mode": "token"}
            while client.post(f"{AUTH}/login", json=body).status_code != 429:
                pass

    def answers(self, method, path, *, headers=None, **more):
        with Talker(self.place.url) as client:
            return client.request(method, path, headers=headers, **more)

    def as_session(self, token):
        return self.answers("GET", MINE, headers={"Cookie": f"session={token}"}).status_code == 200

    def as_bearer(self, token):
        return self.answers("GET", MINE, headers={"Authorization": f"Bearer {token}"}).status_code == 200

    def as_key(self, token):
        return self.answers("GET", MINE, headers={"X-API-Key": token}).status_code == 200

    def as_refresh(self, token):
        return self.answers("POST", f"{AUTH}/token/refresh", json={"refresh_token": token}).status_code == 200

    def as_csrf(self, token):
        headers = {"Origin": self.place.url, "X-CSRF-Token": token}
        answer = self.person.put("/api/v1/settings/x", json={"value": 1}, headers=headers)
        return not answer.json()["type"].endswith("csrf-refused")

    def as_visit(self, token):
        answer = self.answers("GET", f"{AUTH}/csrf", headers={"Cookie": f"visit={token}"})
        return not any(one.startswith("visit=") for one in answer.headers.get_list("set-cookie"))

    def as_visit_csrf(self, token):
        headers = {"Origin": self.place.url, "X-CSRF-Token": token}
        body = {"email": self.email, "password": "a wrong guess of it"}
        answer = self.visitor.post(f"{AUTH}/login", json=body, headers=headers)
        return not answer.json()["type"].endswith("csrf-refused")

    def as_browser(self, token):
        """Whether a login gets past the attempts that others have used up."""
        with Person(self.place.url, self.email) as thief:
            thief.cookies.set("browser", token)
            thief.visit()
            body = {"email": self.email, "password": PASSWORD}
            return thief.send_proved("POST", f"{AUTH}/login", json=body).status_code == 200

    def by_link(self, route, token, **more):
        return self.answers("POST", f"{AUTH}/{route}", json={"token": token, **more}).status_code == 200


TAKEN = {"bearer": {"access", "key"}, "change": {"change-old", "change-new"}}
"""Places that take more than the kind of their name: a key is a bearer's too, and both addresses are confirmed."""


@pytest.mark.timeout(180)
def test_R18_no_kind_of_token_stands_in_for_another(place, mailbox):
    with (
        Person(place.url, f"kinds-{secrets.token_hex(6)}@example.org") as person,
        Person(place.url, person.email) as visitor,
    ):
        person.sign_up()
        person.log_in()
        visitor.visit()
        kinds = Kinds(place, mailbox, person, visitor)
        assert len(set(kinds.tokens.values())) == len(kinds.tokens)
        assert all(kinds.tokens.values())
        kinds.burn()
        refused = 0
        for where, taken in kinds.places.items():
            for kind, token in kinds.tokens.items():
                if kind not in TAKEN.get(where, {where}):
                    assert not taken(token), f"{kind} passed as {where}"
                    refused += 1
        assert refused == len(kinds.places) * len(kinds.tokens) - len(kinds.tokens) - 1
        for where, taken in kinds.places.items():
            if where == "reset":  # the account has moved by now, and what was asked for before is dead
                assert not taken(kinds.tokens["reset"])
                kinds.tokens["reset"] = kinds.asked_for_reset(kinds.next_email)
            for kind in sorted(TAKEN.get(where, {where})):
                assert taken(kinds.tokens[kind]), f"{kind} did not pass where it should"
