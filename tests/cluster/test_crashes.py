"""kill -9 at every named point: each image is stored exactly once, with the same seed and the same bytes."""

from __future__ import annotations

import time

import pytest
from house import House, eventually, images_of, learning_records

from stablenew_api.errors import StableNewError
from stablenew_api.faults import CRASH_POINTS

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.mark.parametrize("point", [point for point in CRASH_POINTS if point.startswith("kernel.")])
def test_the_kernel_dies(house: House, undisturbed: dict[int, tuple[int, bytes]], point: str) -> None:
    client = house.start_kernel(crash_at=point)
    house.start_agent("a")
    house.wait_online(client, 1)
    try:
        run_id = client.submit(house.request()).run_id
    except StableNewError:
        run_id = ""  # it died before its answer was here; the run is there or it is not, never half
    assert house.kernel is not None
    assert house.kernel.wait(60) == 137, f"{point} was not reached"
    client = house.start_kernel()
    if not run_id:
        runs = client.runs()
        assert len(runs) == (point != "kernel.submit.before_commit")
        run_id = runs[0].run_id if runs else client.submit(house.request()).run_id
    run = house.wait_run(run_id)
    assert (run.state, run.done, run.failed) == ("done", 3, 0)
    assert images_of(run) == undisturbed
    assert len(learning_records(house.data, run_id)) == 3


@pytest.mark.parametrize("commit", [3, 11])
def test_the_kernel_dies_between_the_commits_of_a_long_run(house: House, commit: int) -> None:
    """It has 2,500 jobs, so ten pieces, and then the commit that reveals them."""
    client = house.start_kernel(crash_at=f"kernel.submit.before_commit:{commit}")
    asked = house.request(pack="\n\n".join(f"house {number}" for number in range(2500)).encode("ascii"))
    asked.confirmed = True
    with pytest.raises(StableNewError):
        client.submit(asked)
    assert house.kernel is not None
    assert house.kernel.wait(60) == 137
    client = house.start_kernel()
    assert not client.runs()
    assert (client.status().queue.queued, client.jobs().total) == (0, 0)
    client.set_paused(True)
    run_id = client.submit(asked).run_id
    assert (client.status().queue.queued, client.jobs(run_id, ["queued"]).total) == (2500, 2500)


@pytest.mark.parametrize("point", [point for point in CRASH_POINTS if point.startswith("agent.")])
def test_the_agent_dies(house: House, undisturbed: dict[int, tuple[int, bytes]], point: str) -> None:
    client = house.start_kernel()
    keeps = ("--keep-after", "0") if ".stage." in point else ()
    agent = house.start_agent("a", *keeps, crash_at=point)
    house.wait_online(client, 1)
    run_id = client.submit(house.request()).run_id
    # On a busy machine all three jobs may be over before a stage was kept: then there is nothing to upload.
    until = time.monotonic() + 60
    while agent.poll() is None:
        assert time.monotonic() < until, f"{point} was not reached"
        if client.runs(limit=1)[0].state != "running":
            run_id = client.submit(house.request()).run_id
        time.sleep(0.05)
    assert agent.wait(60) == 137
    house.start_agent("a")
    run = house.wait_run(run_id)
    assert (run.state, run.done, run.failed) == ("done", 3, 0)
    assert images_of(run) == undisturbed
    assert len(learning_records(house.data, run_id)) == 3


@pytest.mark.parametrize("point", [point for point in CRASH_POINTS if point.startswith("worker.")])
def test_the_worker_dies(house: House, undisturbed: dict[int, tuple[int, bytes]], point: str) -> None:
    """Every worker of the agent dies when it gets to the point in its second job (of four steps), so each job
    but the first is begun twice."""
    client = house.start_kernel()
    house.start_agent("a", crash_at=f"{point}:{6 if point == 'worker.stage.step' else 2}")
    house.wait_online(client, 1)
    run_id = client.submit(house.request()).run_id
    run = house.wait_run(run_id)
    assert (run.state, run.done, run.failed) == ("done", 3, 0)
    assert images_of(run) == undisturbed
    attempts = [client.job(f"{run_id}/{index}").job.attempt for index in range(3)]
    assert max(attempts) > 1, f"{point} was not reached"


def test_an_agent_is_killed_mid_job_and_others_finish(
    house: House, undisturbed: dict[int, tuple[int, bytes]]
) -> None:
    client = house.start_kernel()
    victim = "one"
    house.start_agent(victim, "--backend-option", "seconds_per_step=600")
    house.wait_online(client, 1)
    run_id = client.submit(house.request()).run_id
    eventually(lambda: client.jobs(run_id, ["running"]).jobs, "a job runs")
    for name in ("two", "three"):
        house.start_agent(name)
    house.wait_online(client, 3)
    house.kill_agent(victim)
    run = house.wait_run(run_id)
    assert (run.state, run.done) == ("done", 3)
    assert images_of(run) == undisturbed
    retried = [job for job in client.jobs(run_id).jobs if job.attempt > 1]
    assert retried
    assert all(job.node != victim for job in retried)


def test_the_kernel_is_killed_mid_run_and_resumes(
    house: House, undisturbed: dict[int, tuple[int, bytes]]
) -> None:
    client = house.start_kernel()
    house.start_agent("a", "--backend-option", "seconds_per_step=20")  # at 64 x 64, a second each
    house.wait_online(client, 1)
    run_id = client.submit(house.request()).run_id
    eventually(lambda: client.jobs(run_id, ["running"]).jobs, "a job runs")
    house.kill_kernel()
    client = house.start_kernel()
    assert "did not stop in order" in client.status().start_note
    run = house.wait_run(run_id)
    assert images_of(run) == undisturbed


def test_after_a_crash_the_queue_can_start_paused(house: House) -> None:
    client = house.start_kernel()
    run_id = client.submit(house.request()).run_id
    house.kill_kernel()
    client = house.start_kernel('after_crash="paused"')
    status = client.status()
    assert status.queue.paused
    assert "paused" in status.start_note
    house.start_agent("a")
    house.wait_online(client, 1)
    assert client.jobs(run_id, ["queued"]).total == 3
    client.set_paused(False)
    assert house.wait_run(run_id).done == 3
