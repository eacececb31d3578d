"""Settings from their layers, the last of which wins, checked as a whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tradesense.core.errors import MissingDependency, Problem, SettingsInvalid
from tradesense.plugins import manager
from tradesense.plugins.manager import Plugins
from tradesense.plugins.registry import Offer
from tradesense.settings import check, keys, references
from tradesense.settings.facts import Facts
from tradesense.settings.layers import Tree, find, leaves
from tradesense.settings.schema import PluginSettings, Settings
from tradesense.settings.sections import Sections, adapter_settings, chosen, missing, sealed
from tradesense.settings.sources import Sources
from tradesense.settings.validate import check as check_struct

_LEVELS = ("error", "warning", "info")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that may be started with."""

    settings: Settings
    problems: tuple[Problem, ...]
    """Warnings and infos; errors are raised."""
    origins: Mapping[str, str]
    """Dotted key to where its value came from; a key that is not here has its default."""
    plugins: Plugins
    """What the settings were checked against; a container can be opened with it."""


def load(
    environ: Mapping[str, str] | None = None,
    *,
    directory: Path | None = None,
    plugins: Plugins | None = None,
    options: Mapping[str, Any] | None = None,
) -> Loaded:
    """Load and check the settings of this process.

    :param environ: the environment variables, those of the process when left out.
    :param directory: where the deployment's file and a relative ``state_dir`` are, the working directory when left out.
    :param plugins: already loaded ones; else those of this environment, by the allow-list.
    :param options: dotted keys and values that win over everything, as a command's options do.
    :raises SettingsInvalid: with all problems, not the first alone.
    :raises ConfigurationError: the plugins cannot be loaded.
    """
    environ = os.environ if environ is None else environ
    sources = Sources(environ, directory or Path.cwd(), options or {})
    tree, problems = sources.tree(), sources.problems
    plugins = plugins or _plugins(tree)
    sections = Sections(tree, plugins)
    settings: Settings = check_struct(Settings, sections.take(), problems=problems)
    settings = msgspec.structs.replace(settings, adapters=sections.adapters)
    origins = {key: value.origin for key, value in leaves(tree)}
    offers, unknown = chosen(settings, plugins.registry, origins)
    facts = Facts(settings=settings, offers=offers, origins=origins, file=sources.file)
    unset = {problem.key for problem in keys.absent_keys(facts)}  # told with the command that makes one
    of_adapters = [problem for problem in _adapter_problems(settings, offers, origins) if problem.key not in unset]
    chosen_badly = [*unknown, *of_adapters, *references.problems(settings, origins)]
    found = _beside([*problems, *sections.problems], chosen_badly)
    if sources.environment_known:
        found = _beside(found, check.problems(facts))
    found.sort(key=lambda problem: (_LEVELS.index(problem.level), problem.key))
    if any(problem.level == "error" for problem in found):
        raise SettingsInvalid(found)
    return Loaded(settings=settings, problems=tuple(found), origins=origins, plugins=plugins)


def load_plugins(environ: Mapping[str, str] | None = None, *, directory: Path | None = None) -> Plugins:
    """Load the plugins that the settings allow, whatever else is wrong with the settings.

    :raises SettingsInvalid: the section ``[plugins]`` is wrong.
    :raises ConfigurationError: they cannot be loaded.
    """
    return _plugins(Sources(os.environ if environ is None else environ, directory or Path.cwd(), {}).tree())


def _plugins(tree: Tree) -> Plugins:
    listed: list[Problem] = []
    wanted = check_struct(PluginSettings, find(tree, "plugins") or {}, prefix="plugins.", problems=listed)
    if listed:  # which plugins there are decides what else is right, so nothing else can be said yet
        raise SettingsInvalid(listed)
    return manager.load(allow=wanted.allow, optional=wanted.optional)


def _adapter_problems(settings: Settings, offers: Mapping[str, Offer], origins: Mapping[str, str]) -> list[Problem]:
    found: dict[tuple[str, str], Problem] = {}
    for key, offer in offers.items():
        if key == "secrets.key_encryption" and not sealed(offers):
            continue
        try:
            adapter_settings(settings, offer.adapter, origins=origins)
        except SettingsInvalid as error:
            found |= {(problem.key, problem.message): problem for problem in error.problems}
        for requirement in missing(offer.adapter):
            lack = MissingDependency(requirement.distribution, extra=requirement.extra, package=requirement.package)
            problem = Problem(
                level="error",
                key=key,
                message=f"{offer.adapter.name!r} needs {requirement.distribution}, which is not installed",
                origin=origins.get(key, "the default"),
                mend=lack.mend,
            )
            found.setdefault(("", requirement.distribution), problem)  # one line for all that need it
    return list(found.values())


def _beside(first: list[Problem], later: list[Problem]) -> list[Problem]:
    """Both, but for what ``later`` finds wrong with a key that is wrong already: it may follow from that."""
    wrong = {problem.key for problem in first if problem.level == "error"}
    return [*first, *(problem for problem in later if problem.key not in wrong)]
