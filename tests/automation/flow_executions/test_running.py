"""An execution from its firing to its end: S19, S25, E4, E8, F10."""

from tests.automation.flow_executions.campaign import Campaign


async def test_f10_everybody_is_told_once_and_the_execution_is_complete(campaign: Campaign) -> None:
    contacts = await campaign.contacts(60)
    execution_id = await campaign.fire()
    execution = await campaign.finish(execution_id)
    assert execution.status == "COMPLETED"
    assert await campaign.counts(execution_id) == {"COMPLETED": 60}
    assert sorted(await campaign.said()) == sorted(f"Olá {contact.name}" for contact in contacts)
