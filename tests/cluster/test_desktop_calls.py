"""What a desktop asks of a real kernel: stages, packs, settings; other settings for the local agent at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from house import House, eventually

from stablenew_proto.v1 import packs_pb2

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_client_is_told_of_stages_packs_and_prompts(house: House) -> None:
    client = house.start_kernel()
    stages = client.stages()
    assert (stages[0].name, stages[0].phase, stages[0].plugin) == ("txt2img", "generate", "stages")
    assert "noop" not in {stage.name for stage in stages}
    request = house.request(pack=b"a {red|green} [[time]]")
    described = client.packs.describe(request)
    assert [slot.name for slot in described.slots] == ["{red|green}", "time"]
    assert (described.images, described.problems[0].severity) == ("", "error")
    colour, time = described.slots
    request.sets.extend(
        [f"{time.options_setting}=dawn | noon", f"{time.setting}=fanout", f"{colour.setting}=fanout"]
    )
    described = client.packs.describe(request)
    assert (described.images, len(described.problems)) == ("4", 0)
    shown = [job.prompt for message in client.preview(request) for job in message.jobs]
    assert shown == ["a red dawn", "a red noon", "a green dawn", "a green noon"]
    edit = packs_pb2.PackEdit(set_row=packs_pb2.SetRow(row=1, positive="a sea"))
    assert client.packs.edit("p.txt", b"# mine\na  \n", [edit]) == b"# mine\na sea  \n"
    read = client.packs.prompt("a [[time]], <lora:x:1>", request)
    assert [span.kind for span in read.spans] == ["text", "slot", "comma", "text", "lora"]
    assert not client.packs.wildcards()
    assert client.settings().settings[0].name == "port"


@pytest.fixture
def stopped(house: House) -> Iterator[House]:
    """The house, whose kernel stops in order at the end: the agent that it started would outlive it."""
    yield house
    house.client().stop()
    assert house.kernel is not None
    house.kernel.wait(60)


def test_the_local_agent_finishes_its_jobs_and_starts_anew_with_other_settings(stopped: House) -> None:
    house = stopped
    slow = 'local_backend_options=["seconds_per_step=10"]'  # at 512 x 512; our images take a second and a half
    client = house.start_kernel("local_agent=true", slow)
    house.wait_online(client, 1)
    run_id = client.submit(house.request("txt2img.steps=10")).run_id
    eventually(lambda: client.jobs(run_id=run_id, states=["running"]).jobs, "a job that runs")
    answer = client.change_settings({"local_slots": 3})
    assert list(answer.notes) == ["the local agent starts anew with embedded as soon as its jobs are done"]
    run = house.wait_run(run_id)
    assert (run.done, run.failed) == (3, 0)

    def anew() -> bool:
        [node] = client.nodes()
        return node.info.slots == 3 and node.state == "online" and node.report.state == "ready"

    eventually(anew, "the agent is back, with three slots")
    for job in client.jobs(run_id=run_id).jobs:
        events = client.job(job.job_id).events
        begun = [one for one in events if one.to_state == "running" != one.from_state]
        assert len(begun) <= 1, "what waited at the agent was taken back, what ran was done"
    client.change_settings({"local_agent": False})
    eventually(lambda: client.nodes()[0].state == "offline", "the agent has ended")
    client.change_settings({"local_agent": True, "local_slots": None})
    house.wait_online(client, 1)
    assert client.nodes()[0].info.slots == 1
