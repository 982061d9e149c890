"""kill -9 while a run is queued that moves a place: the place moves with the run or not at all."""

from __future__ import annotations

import pytest
from house import House, images_of

from stablenew_api.errors import StableNewError

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.mark.parametrize("point", ["kernel.submit.before_commit", "kernel.submit.after_commit"])
def test_a_crash_repeats_nothing_and_skips_nothing(house: House, point: str) -> None:
    request = house.request(pack=b"{@red|green|blue} house\n", count=2)
    client = house.start_kernel(crash_at=point)
    with pytest.raises(StableNewError):
        client.submit(request)
    assert house.kernel is not None
    assert house.kernel.wait(60) == 137, f"{point} was not reached"
    client = house.start_kernel()
    house.start_agent("a")
    house.wait_online(client, 1)
    run_ids = [run.run_id for run in client.runs()]
    assert len(run_ids) == len(client.places()) == (point == "kernel.submit.after_commit")
    run_ids.append(client.submit(request).run_id)
    for run_id in run_ids:
        assert len(images_of(house.wait_run(run_id))) == 2
    taken = [
        job.prompt for run_id in run_ids for job in sorted(client.jobs(run_id).jobs, key=lambda j: j.index)
    ]
    assert taken == ["red house", "green house", "blue house", "red house"][: len(taken)]
    assert [place.state for place in client.places()] == [f"next is {len(taken) % 3 + 1} of 3"]
