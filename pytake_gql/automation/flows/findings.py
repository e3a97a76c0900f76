"""What is wrong with a flow: every problem at once, each with its node and a sentence (F6)."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytake_gql.kernel.translation import translate


class ProblemSeverity(StrEnum):
    """With an ERROR a flow is not published."""

    ERROR = "ERROR"
    WARNING = "WARNING"


MOST = 200
"""Problems told at once: who mends these sees the next."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`template` is English and the key of the translation catalogues; `field` is the path inside the settings."""

    node_id: str | None
    severity: ProblemSeverity
    template: str
    field: tuple[str, ...] = ()
    values: dict[str, Any] = dataclasses.field(default_factory=dict)

    def message(self, locale: str) -> str:
        sentence = translate(self.template, locale, **self.values)
        return f"{'.'.join(self.field)}: {sentence}" if self.field else sentence


class Findings:
    """Collects them, the first `MOST`."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def blame(self, node_id: str | None, template: str, *path: str, **values: Any) -> None:
        self._add(Finding(node_id, ProblemSeverity.ERROR, template, path, values))

    def warn(self, node_id: str | None, template: str, *path: str, **values: Any) -> None:
        self._add(Finding(node_id, ProblemSeverity.WARNING, template, path, values))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found)

    @property
    def has_errors(self) -> bool:
        return any(finding.severity is ProblemSeverity.ERROR for finding in self._found)

    def _add(self, finding: Finding) -> None:
        if len(self._found) < MOST and finding not in self._found:
            self._found.append(finding)
