"""The texts of mails: those that come with the platform, and those that a deployment puts before them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from tradesense.core.errors import ConfigurationError
from tradesense.core.identity.mails import Catalogue, MailText, Occasion

SUFFIX = ".toml"
ORIGIN = "identity.mail.templates"

_Texts = dict[Occasion, MailText]


def catalogue(folder: str = "") -> Catalogue:
    """The texts by language. A file of ``folder``, called ``LANGUAGE.toml``, goes before ours occasion by occasion.

    :raises ConfigurationError: the folder or a file of it cannot be read.
    """
    texts = dict(_read(files(__name__)))
    if folder:
        if not Path(folder).is_dir():
            raise ConfigurationError(f"{folder} is no folder", origin=ORIGIN, mend="name one, or leave it empty")
        for language, own in _read(Path(folder)):
            texts[language] = texts.get(language, {}) | own
    return texts


def _read(folder: Traversable | Path) -> Iterator[tuple[str, _Texts]]:
    for file in folder.iterdir():
        if file.name.endswith(SUFFIX):
            try:
                texts = msgspec.convert(tomllib.loads(file.read_text("utf-8")), _Texts)
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
                raise ConfigurationError(f"{file.name}: {error}", origin=ORIGIN, mend="see docs/identity.md") from error
            yield file.name.removesuffix(SUFFIX), texts
