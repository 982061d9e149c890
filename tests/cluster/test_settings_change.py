"""Another backend for the local agent while it works: jobs end first, then the agent has the new settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import House, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.fixture
def stopped(house: House) -> Iterator[House]:
    """The house, whose kernel stops in order at the end: the agent that it started would outlive it."""
    yield house
    house.client().stop()
    assert house.kernel is not None
    house.kernel.wait(20)


def test_the_local_agent_finishes_its_jobs_and_starts_anew_with_other_settings(stopped: House) -> None:
    house = stopped
    client = house.start_kernel("local_agent=true")
    house.wait_online(client, 1)
    run_id = client.submit(house.request("txt2img.steps=150", count=4)).run_id
    eventually(lambda: client.jobs(run_id=run_id, states=["running"]).jobs, "a job that runs")
    answer = client.change_settings({"local_slots": 3})
    assert list(answer.notes) == ["the local agent starts anew with embedded as soon as its jobs are done"]
    run = house.wait_run(run_id)
    assert (run.done, run.failed) == (12, 0)

    def anew() -> bool:
        [node] = client.nodes()
        return node.info.slots == 3 and node.state == "online" and node.report.state == "ready"

    eventually(anew, "the agent is back, with three slots")
    for job in client.jobs(run_id=run_id).jobs:
        begun = [event for event in client.job(job.job_id).events if event.to_state == "running"]
        assert len(begun) == 1, "what waited at the agent was taken back, what ran was done"
    client.change_settings({"local_agent": False})
    eventually(lambda: client.nodes()[0].state == "offline", "the agent has ended")
    client.change_settings({"local_agent": True, "local_slots": None})
    house.wait_online(client, 1)
    assert client.nodes()[0].info.slots == 1
