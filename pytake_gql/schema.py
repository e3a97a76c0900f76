"""The one schema: each domain's Query, Mutation and Subscription, merged."""

from pytake_gql.automation.flow_automations.graphql import FlowAutomationMutation, FlowAutomationQuery
from pytake_gql.automation.flow_automations.schedule_graphql import ScheduleQuery
from pytake_gql.automation.flow_executions.graphql import FlowExecutionMutation, FlowExecutionQuery
from pytake_gql.automation.flow_executions.live import FlowExecutionSubscription
from pytake_gql.automation.flow_runs.graphql import FlowRun
from pytake_gql.automation.flows.graphql import FlowMutation, FlowQuery
from pytake_gql.desk.attachments.graphql import AttachmentMutation
from pytake_gql.desk.attributes.graphql import ContactAttributeMutation, ContactAttributeQuery
from pytake_gql.desk.canned_responses.graphql import CannedResponseMutation, CannedResponseQuery
from pytake_gql.desk.channels.graphql import ChannelMutation, ChannelQuery
from pytake_gql.desk.contacts.graphql import ContactMutation, ContactQuery
from pytake_gql.desk.conversations.graphql import ConversationMutation, ConversationQuery
from pytake_gql.desk.conversations.live import EVENT_TYPES, ConversationSubscription
from pytake_gql.desk.departments.graphql import DepartmentMutation, DepartmentQuery
from pytake_gql.desk.queues.graphql import QueueMutation, QueueQuery
from pytake_gql.desk.routing.decisions import RoutingDecision
from pytake_gql.desk.routing.graphql import RoutingMutation
from pytake_gql.desk.routing.live import RoutingSubscription
from pytake_gql.desk.skills.graphql import SkillMutation, SkillQuery
from pytake_gql.desk.sla.graphql import SlaClock
from pytake_gql.desk.tags.graphql import TagMutation, TagQuery
from pytake_gql.desk.visitors.graphql import VisitorMutation, VisitorQuery
from pytake_gql.desk.visitors.live import VisitorSubscription
from pytake_gql.insight.audit.graphql import AuditQuery
from pytake_gql.insight.notifications.graphql import (
    NotificationMutation,
    NotificationQuery,
    NotificationSubscription,
)
from pytake_gql.kernel.graphql.node import NodeQuery
from pytake_gql.kernel.graphql.schema import build
from pytake_gql.kernel.graphql.types import object_type
from pytake_gql.tenancy.auth.graphql import AuthMutation, AuthQuery
from pytake_gql.tenancy.members.graphql import MemberMutation, MemberQuery
from pytake_gql.tenancy.members.live import MemberSubscription
from pytake_gql.tenancy.organizations.graphql import OrganizationMutation, OrganizationQuery


@object_type
class Query(
    NodeQuery,
    AuthQuery,
    OrganizationQuery,
    MemberQuery,
    DepartmentQuery,
    SkillQuery,
    QueueQuery,
    TagQuery,
    ContactAttributeQuery,
    ContactQuery,
    ChannelQuery,
    ConversationQuery,
    CannedResponseQuery,
    VisitorQuery,
    FlowQuery,
    FlowExecutionQuery,
    AuditQuery,
    NotificationQuery,
    ScheduleQuery,
    FlowAutomationQuery,
):
    """Everything that can be read."""


@object_type
class Mutation(
    AuthMutation,
    OrganizationMutation,
    MemberMutation,
    DepartmentMutation,
    SkillMutation,
    QueueMutation,
    TagMutation,
    ContactAttributeMutation,
    ContactMutation,
    ChannelMutation,
    ConversationMutation,
    AttachmentMutation,
    CannedResponseMutation,
    RoutingMutation,
    VisitorMutation,
    FlowMutation,
    FlowExecutionMutation,
    NotificationMutation,
    FlowAutomationMutation,
):
    """Everything that can be changed: one `input`, one payload with `userErrors`."""


@object_type
class Subscription(
    ConversationSubscription,
    RoutingSubscription,
    MemberSubscription,
    VisitorSubscription,
    FlowExecutionSubscription,
    NotificationSubscription,
):
    """Everything that can be followed live."""


schema = build(Query, Mutation, Subscription, types=[*EVENT_TYPES, RoutingDecision, SlaClock, FlowRun])
