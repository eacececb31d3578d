"""What mails say, and in which language."""

from __future__ import annotations

import pytest

from tradesense.core.errors import ConfigurationError
from tradesense.core.identity.mails import PURPOSES, Mails, MailText, Occasion
from tradesense.core.identity.models import Purpose
from tradesense.entrypoints.mails import catalogue

BASE = "https://app.example.org"
VALUES = {"email": "ada@example.org", "next_email": "a+b@example.org", "minutes": "30", "hours": "24"}


@pytest.fixture
def mails():
    return Mails(catalogue(), product="Acme & Sons", base=f"{BASE}/")


@pytest.mark.parametrize("occasion", Occasion)
@pytest.mark.parametrize("language", ["en", "de"])
def test_every_occasion_has_a_text_in_every_language(mails, occasion, language):
    link = f"{BASE}/x#token=t" if occasion in PURPOSES else ""
    mail = mails.render(occasion, language, link=link, **VALUES)
    for text in (mail.subject, mail.text, mail.html):
        assert "$" not in text
    assert "Acme & Sons" in mail.subject
    assert "Acme &amp; Sons" in mail.html
    assert "Acme & Sons" not in mail.html
    assert ("#token=t" in mail.text) is bool(link)
    assert f'lang="{language}"' in mail.html
    assert '<a href="' in mail.html or occasion not in PURPOSES


def test_the_two_languages_say_it_differently(mails):
    both = [mails.render(Occasion.RESET_PASSWORD, language, link="x", **VALUES) for language in ("en", "de")]
    assert both[0].subject != both[1].subject
    assert "Passwort" in both[1].text


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("de", "de"), ("de-AT", "de"), ("DE_ch-1996", "de"), ("fr", "en"), ("", "en"), ("../../etc", "en"), ("-", "en")],
)
def test_the_nearest_language_is_taken(mails, wanted, found):
    assert mails.negotiate(wanted) == found


def test_a_token_stands_in_the_fragment_which_goes_to_no_server(mails):
    assert mails.link(Purpose.RESET_PASSWORD, "abc") == f"{BASE}/reset-password#token=abc"


def test_a_hostile_value_becomes_text_and_no_header(mails):
    hostile = '"<script>alert(1)</script>\r\nBcc: eve@example.org'
    mail = mails.render(Occasion.CHANGE_EMAIL_OLD, "en", link="x", **{**VALUES, "next_email": hostile})
    assert "<script" not in mail.html
    text = MailText(subject="for $email", paragraphs=("x",))
    texts = {"en": {**catalogue()["en"], Occasion.ACCOUNT_DELETED: text}}
    subject = Mails(texts, product="x", base=BASE).render(Occasion.ACCOUNT_DELETED, "en", email=hostile).subject
    assert "\r" not in subject
    assert "\n" not in subject


def test_texts_of_a_deployment_go_before_ours(tmp_path):
    (tmp_path / "en.toml").write_text('[account-deleted]\nsubject = "Gone from $product"\nparagraphs = ["Bye."]\n')
    (tmp_path / "fr.toml").write_text('[account-deleted]\nsubject = "Supprimé"\nparagraphs = ["Adieu."]\n')
    mails = Mails(catalogue(str(tmp_path)), product="Acme", base=BASE)
    assert mails.render(Occasion.ACCOUNT_DELETED, "en", **VALUES).subject == "Gone from Acme"
    assert mails.render(Occasion.ACCOUNT_DELETED, "fr-CA", **VALUES).subject == "Supprimé"
    assert mails.render(Occasion.RESET_PASSWORD, "fr", link="x", **VALUES).subject.startswith("Reset")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[account-deleted]\nsubject = 1", "subject"),
        ("[no-such-occasion]\nsubject = 'x'\nparagraphs = []", "no-such-occasion"),
        ("not toml", "en.toml"),
        ("[account-deleted]\nsubject = '$secret'\nparagraphs = ['x']", "placeholder"),
        ("[account-deleted]\nsubject = 'x'\nparagraphs = ['costs $5']", "placeholder"),
        ("[account-deleted]\nsubject = 'x'\nparagraphs = []", "paragraph"),
    ],
)
def test_a_text_that_cannot_be_used_ends_the_start(tmp_path, content, words):
    (tmp_path / "en.toml").write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        Mails(catalogue(str(tmp_path)), product="Acme", base=BASE)


def test_a_folder_that_is_not_there_ends_the_start(tmp_path):
    with pytest.raises(ConfigurationError, match="no folder"):
        catalogue(str(tmp_path / "absent"))
