"""A link that goes silent without a word (a pulled cable) is noticed by both sides' keepalive options.

This guards against a grpcio that reads the options differently: with the documented keepalive alone it took 70
s.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from agent_fakes import AgentProcess, FakeKernel, Proxy, async_test, spec, until

from stablenew_api.leases import LeaseState


@pytest.mark.slow
@async_test
async def test_a_black_holed_link_is_noticed_and_replaced(tmp_path: Path) -> None:
    async with (
        FakeKernel() as kernel,
        Proxy(kernel.port) as proxy,
        AgentProcess(tmp_path, f"127.0.0.1:{proxy.port}") as agent,
    ):
        first = await kernel.connected()
        lease = kernel.offer("job", spec("steps", steps=300))
        await kernel.running(lease)
        proxy.black_hole()
        await until(lambda: not kernel.streams, what="the kernel's side gives the stream up")
        await until(lambda: "lost the kernel" in agent.stderr(), what="the agent's side gives the stream up")
        proxy.heal()
        again = await kernel.connected(2)
        assert again.epoch > first.epoch
        assert (await kernel.fact(lease)).outcome.state is LeaseState.SUCCEEDED, "the job ran on meanwhile"
