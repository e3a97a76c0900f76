"""Whom an automation is for, as clients say it and as an execution takes it along."""

from collections.abc import Mapping
from typing import Any

from pytake_gql.automation.flow_executions.snapshots import Audience
from pytake_gql.desk.contacts.service import Criteria
from pytake_gql.kernel.ids import global_id, parse_global_id

MOST_CONTACTS = 5000


def to_json(audience: Audience) -> dict[str, Any]:
    """In the shape of `AudienceInput`."""
    if audience.contact_ids is not None:
        return {"contactIds": [global_id("Contact", id_) for id_ in audience.contact_ids]}
    if audience.criteria is None:
        return {"all": True}
    criteria = audience.criteria
    told = {
        "search": criteria.search,
        "tagIds": None if criteria.tag_ids is None else [global_id("Tag", id_) for id_ in criteria.tag_ids],
        "attributes": criteria.attributes,
        "isBlocked": criteria.is_blocked,
        "optedOut": criteria.opted_out,
    }
    return {"filter": {name: value for name, value in told.items() if value is not None}}


def from_json(stored: Mapping[str, Any]) -> Audience:
    if "contactIds" in stored:
        return Audience(contact_ids=tuple(_local(id_) for id_ in stored["contactIds"]))
    if "filter" not in stored:
        return Audience()
    told = stored["filter"]
    tag_ids = told.get("tagIds")
    return Audience(
        criteria=Criteria(
            search=told.get("search"),
            tag_ids=None if tag_ids is None else [_local(id_) for id_ in tag_ids],
            attributes=told.get("attributes"),
            is_blocked=told.get("isBlocked"),
            opted_out=told.get("optedOut"),
        )
    )


def _local(id_: str) -> Any:
    parsed = parse_global_id(id_)
    if parsed is None:
        raise ValueError("what was stored is an id")
    return parsed[1]
