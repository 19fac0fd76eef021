"""The two languages of the pages. Chinese is the default; both texts stand side by side."""

from __future__ import annotations

from typing import TypeAlias

from services.kernel.field_titles import TITLES
from services.kernel.phrases import Language
from services.runtime.rpc.message_fields import FEN

# A text in English and in Chinese.
Text: TypeAlias = tuple[str, str]

LANGUAGES = {"zh": Language.ZH, "en": Language.EN}
# What the attribute `lang` of a page says.
HTML_LANGUAGES = {Language.ZH: "zh-CN", Language.EN: "en"}
# Titles of fields on pages, where the name of the field says less.
_OWN_TITLES: dict[str, Text] = {
    "name": ("number", "编号"),
    "create_time": ("recorded", "登记时间"),
    "display_name": ("name", "名称"),
    "remaining_days": ("working days left", "剩余工作日"),
    "request_json": ("request", "请求内容"),
    "place": ("place of acceptance", "接单地"),
    "preview_json": ("result", "预览结果"),
}


def language_of(code: str | None) -> Language:
    """The language of a code; Chinese if it is none of the two."""
    return LANGUAGES.get(code or "", Language.ZH)


def say(text: Text, language: Language) -> str:
    """A text in a language."""
    return text[0] if language is Language.EN else text[1]


def title_of(name: str, language: Language) -> str:
    """The title of a field of the protos: a column, a row of a summary, a label."""
    unit = ""
    plain = name.removesuffix(FEN)
    if name.endswith(FEN):
        unit = " (yuan)" if language is Language.EN else "（元）"
    if name in _OWN_TITLES:
        text = say(_OWN_TITLES[name], language)
    elif language is Language.ZH and name in TITLES:
        text = TITLES[name]
    else:
        text = plain.replace("_", " ")
    return f"{text[:1].upper()}{text[1:]}{unit}"


def plain_title_of(name: str, language: Language) -> str:
    """The title of an amount without its unit, where the table says it once."""
    title = title_of(name, language)
    return title.removesuffix("（元）").removesuffix(" (yuan)")


def count_of(count: int, singular: str, plural: str, chinese: str, language: Language) -> str:
    """A count with its noun: `count_of(2, "claim", "claims", "件申请", language)`."""
    if language is Language.ZH:
        return f"{count:,} {chinese}"
    return f"{count:,} {singular if count == 1 else plural}"
