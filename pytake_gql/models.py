"""Every table, imported so that the metadata is whole: for migrations and for tests that walk it."""

from pytake_gql.automation.flow_automations import models as flow_automations
from pytake_gql.automation.flow_executions import models as flow_executions
from pytake_gql.automation.flow_runs import models as flow_runs
from pytake_gql.automation.flows import models as flows
from pytake_gql.desk.attachments import models as attachments
from pytake_gql.desk.attributes import models as attributes
from pytake_gql.desk.canned_responses import models as canned_responses
from pytake_gql.desk.channels import models as channels
from pytake_gql.desk.contacts import models as contacts
from pytake_gql.desk.conversations import models as conversations
from pytake_gql.desk.deliveries import models as deliveries
from pytake_gql.desk.departments import models as departments
from pytake_gql.desk.queues import models as queues
from pytake_gql.desk.receipts import models as receipts
from pytake_gql.desk.routing import models as routing
from pytake_gql.desk.skills import models as skills
from pytake_gql.desk.sla import models as sla
from pytake_gql.desk.tags import models as tags
from pytake_gql.insight.audit import models as audit
from pytake_gql.insight.notifications import models as notifications
from pytake_gql.kernel import idempotency, vault
from pytake_gql.tenancy.auth import models as auth
from pytake_gql.tenancy.mail import models as mail
from pytake_gql.tenancy.members import models as members
from pytake_gql.tenancy.organizations import models as organizations

__all__ = [
    "attachments",
    "attributes",
    "audit",
    "auth",
    "canned_responses",
    "channels",
    "contacts",
    "conversations",
    "deliveries",
    "departments",
    "flow_automations",
    "flow_executions",
    "flow_runs",
    "flows",
    "idempotency",
    "mail",
    "members",
    "notifications",
    "organizations",
    "queues",
    "receipts",
    "routing",
    "skills",
    "sla",
    "tags",
    "vault",
]
