"""Known reasons why a process does not start, each as one sentence that says what to do."""

from __future__ import annotations


class StartRefusedError(RuntimeError):
    """The process does not start; the text is the sentence, which is shown without a trace."""

    def __init__(self, sentence: str, sentence_zh: str = "") -> None:
        """The sentence for the log, and in Chinese for those who run a command."""
        super().__init__(sentence)
        self.sentence_zh = sentence_zh or sentence
