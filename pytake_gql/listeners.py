"""Who hears what: the one list of what travels up the wings, in the order in which it is heard."""

from pytake_gql.automation.flow_automations import listeners as flow_automations
from pytake_gql.automation.flow_automations.events import FlowAutomationPaused
from pytake_gql.automation.flow_executions import following
from pytake_gql.automation.flow_executions.events import FlowExecutionEnded
from pytake_gql.automation.flow_runs import listeners as flow_runs
from pytake_gql.automation.flow_runs.events import FlowRunEnded
from pytake_gql.automation.flows.events import FlowDeleted
from pytake_gql.desk.channels.events import ChannelDeleted, ChannelFailed, ChannelFlowChosen
from pytake_gql.desk.contacts.events import ContactErased, ContactMerged, ContactsImported, ContactUpdated
from pytake_gql.desk.conversations import ownership
from pytake_gql.desk.conversations.events import (
    ConversationAssigned,
    ConversationClosed,
    ConversationGivenToFlow,
    ConversationMoved,
    ConversationQueued,
    ConversationRead,
    ConversationSnoozed,
    FlowMessageSettled,
    MessageReceived,
    MessageSent,
)
from pytake_gql.desk.deliveries import media
from pytake_gql.desk.departments.events import DepartmentDeleted
from pytake_gql.desk.queues import membership, requirements
from pytake_gql.desk.queues import service as queues
from pytake_gql.desk.queues.events import QueueDeleted, QueueMembersChanged, QueueUpdated
from pytake_gql.desk.receipts import service as receipts
from pytake_gql.desk.routing import departures, triggers
from pytake_gql.desk.routing.events import QueueUnroutable
from pytake_gql.desk.skills import levels
from pytake_gql.desk.skills.events import MemberSkillsChanged, SkillDeleted
from pytake_gql.desk.sla import service as sla
from pytake_gql.desk.sla.events import SlaBreached
from pytake_gql.insight.audit import service as audit
from pytake_gql.insight.notifications import listeners as notifications
from pytake_gql.kernel.events import Event, Listeners
from pytake_gql.tenancy.members import invitations
from pytake_gql.tenancy.members.events import (
    MemberAvailabilityChanged,
    MemberDeactivated,
    MemberInvited,
    MemberJoined,
    MemberQueuesSet,
    MemberRemoved,
    MemberSeen,
    MemberSkillsSet,
    MemberUpdated,
)
from pytake_gql.tenancy.organizations.events import OrganizationCreated, OrganizationUpdated


def listeners() -> Listeners:
    """Filled once a process."""
    heard = Listeners()
    heard.on(Event, audit.record)
    _hear_below(heard)
    _hear_in_automation(heard)
    _hear_in_insight(heard)
    return heard


def _hear_below(heard: Listeners) -> None:
    """Tenancy and desk."""
    heard.on(OrganizationCreated, invitations.invite_first_admin)
    heard.on(DepartmentDeleted, queues.refuse_while_queues_stand)
    heard.on(QueueDeleted, departures.on_queue_deleted)
    heard.on(ChannelDeleted, departures.on_channel_deleted)
    heard.on(ContactUpdated, ownership.on_contact_updated)
    heard.on(ContactsImported, ownership.on_contacts_imported)
    heard.on(ContactMerged, ownership.on_contact_merged)
    heard.on(ContactErased, ownership.on_contact_erased)
    heard.on(ContactErased, media.on_contact_erased)
    heard.on(MemberAvailabilityChanged, departures.on_availability_changed)
    heard.on(MemberDeactivated, departures.on_member_deactivated)
    heard.on(MemberRemoved, departures.on_member_removed)
    heard.on(MemberInvited, membership.refuse_unknown_queues)
    heard.on(MemberJoined, membership.give_queues)
    heard.on(MemberQueuesSet, membership.replace_queues)
    heard.on(MemberSkillsSet, levels.replace_skills)
    heard.on(SkillDeleted, requirements.refuse_while_required)
    heard.on(MemberRemoved, membership.take_queues)
    heard.on(ConversationMoved, triggers.on_conversation_moved)
    heard.on(MemberUpdated, triggers.on_member_changed)
    heard.on(MemberSkillsChanged, triggers.on_member_changed)
    heard.on(MemberAvailabilityChanged, triggers.on_availability_changed)
    heard.on(MemberSeen, triggers.on_member_changed)
    heard.on(QueueMembersChanged, triggers.on_queue_members_changed)
    heard.on(QueueUpdated, triggers.on_queue_updated)
    heard.on(ConversationQueued, sla.on_queued)
    heard.on(ConversationAssigned, sla.on_assigned)
    heard.on(ConversationSnoozed, sla.on_snoozed)
    heard.on(ConversationClosed, sla.on_closed)
    heard.on(ConversationRead, receipts.on_conversation_read)
    heard.on(MessageReceived, sla.on_message_received)
    heard.on(MessageSent, sla.on_message_sent)


def _hear_in_automation(heard: Listeners) -> None:
    heard.on(ChannelFlowChosen, flow_runs.refuse_unpublished)
    heard.on(ConversationGivenToFlow, flow_runs.on_given_to_flow)
    heard.on(ConversationMoved, flow_runs.on_moved)
    heard.on(MessageReceived, flow_runs.on_message_received)
    heard.on(ContactErased, flow_runs.on_contact_erased)
    heard.on(FlowMessageSettled, following.on_message_settled)
    heard.on(MessageReceived, following.on_message_received)
    heard.on(FlowRunEnded, following.on_run_ended)
    heard.on(ContactMerged, following.on_contact_merged)
    heard.on(ContactErased, following.on_contact_erased)
    heard.on(ChannelDeleted, following.on_channel_deleted)
    heard.on(FlowExecutionEnded, flow_automations.on_execution_ended)
    heard.on(FlowDeleted, flow_automations.refuse_flow_in_use)
    heard.on(ChannelDeleted, flow_automations.refuse_channel_in_use)
    heard.on(OrganizationUpdated, flow_automations.on_organization_updated)


def _hear_in_insight(heard: Listeners) -> None:
    heard.on(ConversationAssigned, notifications.on_assigned)
    heard.on(MessageReceived, notifications.on_message_received)
    heard.on(SlaBreached, notifications.on_sla_breached)
    heard.on(QueueUnroutable, notifications.on_queue_unroutable)
    heard.on(ChannelFailed, notifications.on_channel_failed)
    heard.on(FlowAutomationPaused, notifications.on_automation_paused)
    heard.on(FlowExecutionEnded, notifications.on_execution_ended)
