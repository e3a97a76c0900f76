from typing import ClassVar

from pytake_gql.kernel.events import Event


class SkillCreated(Event):
    entity: ClassVar[str] = "Skill"


class SkillUpdated(Event):
    entity: ClassVar[str] = "Skill"


class SkillDeleted(Event):
    """Announced before the row goes: whoever needs the skill refuses. The members' levels go with it."""

    entity: ClassVar[str] = "Skill"


class MemberSkillsChanged(Event):
    """The member is good at other things from now on, or better or worse at them."""

    entity: ClassVar[str] = "Member"
