"""What is said of a file to a person, in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel.phrases import Language


@dataclass(frozen=True)
class Remark:
    """A sentence, or a part of one, in both languages."""

    en: str
    zh: str

    def text(self, language: Language) -> str:
        """The remark in a language."""
        return self.en if language is Language.EN else self.zh
