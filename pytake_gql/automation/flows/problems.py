"""All that is wrong with a flow, at once, with its nodes (F6). Pure."""

from typing import Any
from uuid import UUID

from pytake_gql.automation.flows import paths, references
from pytake_gql.automation.flows.findings import Findings
from pytake_gql.automation.flows.graph import Drawing, draw
from pytake_gql.automation.flows.references import Known


def read(stored: Any) -> tuple[Drawing, Findings]:
    """What the graph itself tells."""
    findings = Findings()
    drawing = draw(stored, findings)
    if drawing.is_whole:
        paths.check(drawing, findings)
    return drawing, findings


def check(stored: Any, known: Known, flow_id: UUID | None = None) -> Findings:
    drawing, findings = read(stored)
    references.check(drawing, known, flow_id, findings)
    return findings
