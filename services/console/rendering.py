"""The templates: one environment for each language, with the words and forms that all pages use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, PrefixLoader

from services.console.texts import HTML_LANGUAGES, Text, count_of, plain_title_of, say, title_of
from services.console.values import (
    Formatter,
    day_text,
    fen_cell,
    moment_text,
    name_cell,
    page_of,
    short_name,
)
from services.kernel.phrases import Language, label
from services.runtime.rpc.message_fields import month_text

FOLDER = Path(__file__).with_name("templates")
GOVUK = "govuk_frontend_jinja"
ROLES = "oip.type.v1.Access.Role"


class Templates:
    """Renders templates; everything that is shown is escaped."""

    def render(self, template: str, language: Language, values: Mapping[str, Any]) -> str:
        """The page of a template."""
        return _environment(language).get_template(template).render(values)


@cache
def _environment(language: Language) -> Environment:
    components = PrefixLoader({GOVUK: PackageLoader(GOVUK)})
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(FOLDER), components]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    formatter = Formatter(language)

    def one_of(en: str, zh: str) -> str:
        return say((en, zh), language)

    def text(pair: Text) -> str:
        return say(pair, language)

    def count(number: int, singular: str, plural: str, chinese: str) -> str:
        return count_of(number, singular, plural, chinese, language)

    environment.globals.update(
        t=one_of,
        text=text,
        count=count,
        title=lambda name: title_of(name, language),
        plain_title=lambda name: plain_title_of(name, language),
        html_language=HTML_LANGUAGES[language],
        is_chinese=language is Language.ZH,
        value=formatter.of,
        enum=lambda message, name: formatter.of(message, name).text,
        truth=lambda holds: formatter.truth(holds=holds),
        yuan=lambda fen: fen_cell(fen).text,
        moment=moment_text,
        day=day_text,
        month_of=month_text,
        resource=name_cell,
        short=short_name,
        page_of=page_of,
    )
    environment.filters["role_name"] = lambda role: label(ROLES, role.upper()).text(language)
    return environment
