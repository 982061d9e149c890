"""What is kept between stages: told until it is acked, found by content, gone when it is of no use."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from test_coordinator import Driver, job
from test_session import OK, ONE, TWO, names
from test_session import Driver as AgentDriver

from stablenew_agent.session import (
    Acked,
    Dialled,
    Disconnected,
    Finished,
    Offered,
    SendFacts,
    SendHello,
    StageKept,
    Started,
    Welcomed,
)
from stablenew_api.jobs import Artifact, JobSpec, StageSpec
from stablenew_api.leases import Fact, LeaseKey, LeaseState, Offer, Outcome, StageResult
from stablenew_kernel.domain.link import (
    AckFacts,
    FactsReceived,
    KeepStages,
    KeptStages,
    ReleaseImages,
    Restored,
    SendOffer,
    StagesForgotten,
    Transition,
)
from stablenew_kernel.domain.resuming import Kept, prefix_key

IMAGE = Artifact("stage-1.png", "image/png", "ab" * 32, 10)
OTHER = replace(IMAGE, sha256="cd" * 32)
REPORT = b'{"backend":{"name":"b"},"infos":[{}],"stages":[{"name":"txt2img","seconds":3}]}'
RESULT = StageResult(1, (IMAGE,), REPORT)


# --- the agent ------------------------------------------------------------------------------------------------


def link(driver: AgentDriver, *, keeps: bool = True) -> list[Any]:
    driver.epoch += 1
    return driver(Dialled(driver.epoch)) + driver(Welcomed(driver.epoch, keeps_stages=keeps))


def working() -> AgentDriver:
    driver = AgentDriver()
    link(driver)
    driver(Offered(1, (Offer(ONE, b"{}", 60.0, 60.0),)))
    driver(Started(ONE))
    return driver


def test_a_stage_is_stored_then_told_and_the_lease_goes_on() -> None:
    driver = working()
    assert names(driver(StageKept(ONE, RESULT))) == "StoreFact SendFacts"
    assert [held.state for held in driver.session.live_leases()] == [LeaseState.RUNNING]
    told = driver(Finished(ONE, OK))
    assert [fact.fact_id for effect in told if isinstance(effect, SendFacts) for fact in effect.facts] == [2]
    assert names(driver(Acked(1, 2))) == "ForgetFacts"
    assert driver.session.idle


def test_it_is_told_again_after_a_cut_but_is_no_held_lease() -> None:
    driver = working()
    driver(StageKept(ONE, RESULT))
    driver(Disconnected(1))
    hello, *told = link(driver)
    assert isinstance(hello, SendHello)
    assert [held.state for held in hello.held] == [LeaseState.RUNNING], "the lease alone, once"
    assert [fact.stage for effect in told if isinstance(effect, SendFacts) for fact in effect.facts] == [RESULT]
    # An agent that was killed meanwhile holds nothing, and says so; the stage is told all the same.
    fact = Fact(1, ONE, Outcome(LeaseState.RUNNING), RESULT)
    reborn = AgentDriver(outbox=(fact,), next_fact_id=2)
    hello, sent = link(reborn)
    assert (hello.held, sent.facts) == ((), (fact,))
    # Offered anew, it is run: a stage is no end of a lease.
    assert names(reborn(Offered(1, (Offer(ONE, b"{}", 60.0, 60.0),)))) == "StartJob"


def test_a_kernel_that_does_not_keep_stages_hears_of_none() -> None:
    driver = working()
    driver(StageKept(ONE, RESULT))
    driver(Disconnected(1))
    assert names(link(driver, keeps=False)) == "SendHello"
    assert driver(StageKept(ONE, RESULT)) == []
    assert names(driver(Finished(ONE, OK))) == "StoreFact SendFacts"
    assert not driver.session.keeps_stages


def test_also_of_a_lease_that_is_over_or_strange() -> None:
    driver = working()
    driver(Finished(ONE, OK))
    for key in (ONE, TWO):
        assert names(driver(StageKept(key, RESULT))) == "StoreFact SendFacts", (
            "or its images lie about for ever"
        )


# --- the kernel -----------------------------------------------------------------------------------------------


def spec(steps: int = 30, later: str = "upscale", inputs: tuple[Artifact, ...] = ()) -> bytes:
    stages = (
        StageSpec("txt2img", "1", "a fox", "", 7, {"steps": steps}),
        StageSpec("img2img", "1", "a fox", "", 7, {}),
        StageSpec(later, "1", "a fox", "", 7, {}),
    )
    return JobSpec(stages, inputs=inputs).canonical()


STAGES = ("txt2img", "img2img", "upscale")
ALL = {"stages": {"txt2img": "1", "img2img": "1", "upscale": "1", "frame": "1"}}
J1 = LeaseKey("j1", 1)


def three(job_id: str, **changes: Any) -> Any:
    return job(job_id, **{"stages": STAGES, "spec": spec(), **changes})


def told(kernel: Driver, key: LeaseKey, result: StageResult = RESULT, node: str = "a") -> list[Any]:
    kernel.fact_id += 1
    fact = Fact(kernel.fact_id, key, Outcome(LeaseState.RUNNING), result)
    return kernel(FactsReceived(node, 1, (fact,)))


def offers(effects: list[Any]) -> dict[str, StageResult | None]:
    return {one.offer.lease.job_id: one.offer.resume for one in effects if isinstance(one, SendOffer)}


def only(kind: type, effects: list[Any]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


def test_it_is_kept_before_it_is_acked_and_another_node_goes_on_there() -> None:
    kernel = Driver(three("j1"))
    assert offers(kernel.hello(**ALL)) == {"j1": None}
    effects = told(kernel, J1)
    assert names(effects) == "Transition KeepStages AckFacts", "it was not known to run before"
    (keep,) = only(KeepStages, effects)
    assert keep.why == "kept behind stage 1 of 3 (txt2img)"
    (stage,) = json.loads(keep.kept.result.report)["stages"]
    assert (stage["node"], stage["backend"]) == ("a", {"name": "b"})
    assert names(told(kernel, J1)) == "AckFacts", "told twice, kept once"
    effects = kernel.hello("a", 2, **ALL)  # the agent was killed: it comes back without its lease
    (lease,) = [one for one in only(Transition, effects) if one.to_state == "leased"]
    assert lease.why == "in order; goes on at img2img (stage 2 of 3)"
    assert offers(effects) == {"j1": keep.kept.result}


def test_jobs_with_the_same_beginning_go_on_from_there_and_others_do_not() -> None:
    alike = three("j2", spec=spec(later="frame"), stages=("txt2img", "img2img", "frame"))
    kernel = Driver(three("j1"), alike, three("j3", spec=spec(steps=31)))
    kernel(Restored(kept=(KeptStages(prefix_key(json.loads(spec()), 1), "j0", RESULT),)))
    assert offers(kernel.hello("b", slots=3, **ALL)) == {"j1": RESULT, "j2": RESULT, "j3": None}


def test_what_is_kept_goes_with_its_job() -> None:
    kernel = Driver(three("j1"))
    kernel.hello(**ALL)
    told(kernel, J1)
    told(kernel, J1, StageResult(2, (OTHER,), REPORT))
    effects = kernel.fact(J1, Outcome(LeaseState.SUCCEEDED, (replace(IMAGE, sha256="ef" * 32),)))
    assert only(ReleaseImages, effects) == [ReleaseImages("j1")]
    assert not only(KeepStages, effects)
    # What comes after is for nobody: acked, and removed.
    late = told(kernel, J1)
    assert only(ReleaseImages, late) == [ReleaseImages(images=(IMAGE,))]
    assert only(AckFacts, late)


def test_an_agent_that_makes_other_images_of_the_same_is_thanked_and_they_are_removed() -> None:
    kernel = Driver(three("j1"))
    kernel.hello(**ALL)
    told(kernel, J1)
    effects = told(kernel, J1, replace(RESULT, images=(OTHER,)))
    assert only(ReleaseImages, effects) == [ReleaseImages(images=(OTHER,))]


def test_a_restarted_kernel_knows_it_until_it_is_forgotten() -> None:
    for forgotten in (False, True):
        kernel = Driver(three("j1"))
        kept = KeptStages(prefix_key(json.loads(spec()), 1), "j0", RESULT)
        kernel(Restored(kept=(kept,)))
        if forgotten:
            kernel(StagesForgotten(("j0", "j9")))
        assert offers(kernel.hello(**ALL)) == {"j1": None if forgotten else RESULT}


def test_a_result_that_cannot_be_of_the_job_is_removed() -> None:
    kernel = Driver(three("j1"))
    kernel.hello(**ALL)
    for stages in (0, 3, 9):
        assert only(ReleaseImages, told(kernel, J1, replace(RESULT, stages=stages)))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "x"])), min_size=2, max_size=4),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["", "x"])), min_size=2, max_size=4),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
)
def test_the_key_says_inputs_and_first_stages_and_nothing_else(
    one: list[tuple[int, str]], two: list[tuple[int, str]], here: bool, there: bool, stages: int
) -> None:
    def made(of: list[tuple[int, str]], with_input: bool, **more: Any) -> Any:
        chain = tuple(StageSpec("s", "1", prompt, "", seed, {}) for seed, prompt in of)
        return json.loads(JobSpec(chain, inputs=(IMAGE,) if with_input else (), **more).canonical())

    stages = min(stages, len(one), len(two))
    same = one[:stages] == two[:stages] and here is there
    first, second = made(one, here), made(two, there, run_timeout=5.0, provenance={"row": 3})
    assert (prefix_key(first, stages) == prefix_key(second, stages)) is same


def test_the_furthest_is_found() -> None:
    parsed = json.loads(spec())
    results = {stages: replace(RESULT, stages=stages) for stages in (1, 2)}
    kept = Kept(KeptStages(prefix_key(parsed, stages), "j1", result) for stages, result in results.items())
    assert kept.find(three("j9")) == results[2]
    assert kept.find(three("j9", stages=("txt2img",))) is None, "one stage: nothing to go on with"
