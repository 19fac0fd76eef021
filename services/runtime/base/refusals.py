"""Known reasons why a process does not start, each as one sentence that says what to do."""

from __future__ import annotations


class StartRefusedError(RuntimeError):
    """The process does not start; the text is the sentence, which is shown without a trace."""
