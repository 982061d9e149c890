"""Which job fits which node, why a job waits, and where jobs would go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_coordinator import GIB, Driver, InOrder, facts, job

from stablenew_api.jobs import Needs
from stablenew_kernel.domain.link import DrainSet, HelloReceived, NodeFacts, NodeGauges, PauseSet, Reported
from stablenew_kernel.domain.matching import Matcher, nobody_has, why_not

BOX = facts("gpu-box", models=frozenset({"sdxl"}))


@pytest.mark.parametrize(
    ("needs", "min_vram", "stages", "node", "text"),
    [
        (Needs(), 0, ("txt2img",), {}, None),
        (Needs(), 0, ("txt2img", "film_grain"), {}, "needs stage film_grain, which gpu-box has not"),
        (
            Needs(features=frozenset({"upscale", "detail"})),
            0,
            (),
            {},
            "needs ADetailer, upscaling, which the backend of gpu-box cannot do",
        ),
        (
            Needs(features=frozenset({"detailing", "magic"})),
            0,
            (),
            {},
            "needs ADetailer, or inpainting with a face detector on the node (the extra 'detect'), magic, "
            "which the backend of gpu-box cannot do",
        ),
        (Needs("sdxl"), 0, (), {}, None),
        (Needs("flux"), 0, (), {}, "needs model flux, which gpu-box has not"),
        (Needs("flux"), 0, (), {"models": frozenset()}, None),  # a node that lists none takes any
        (Needs(vram_bytes=10 * GIB), 0, (), {}, "needs 10.0 GB VRAM, gpu-box has 8.0"),
        (Needs(vram_bytes=8 * GIB), 0, (), {}, None),
        (Needs(vram_bytes=10 * GIB), 0, (), {"vram_total_bytes": 0}, None),  # a hint, and nobody knows
        (Needs(), 12 * GIB, (), {}, "needs 12.0 GB VRAM, gpu-box has 8.0"),
        (Needs(), 8 * GIB + 1, (), {}, "needs more than 8.0 GB VRAM, gpu-box has 8.0"),
        (Needs(), 8 * GIB, (), {}, None),
        (Needs(), GIB, (), {"vram_total_bytes": 0}, "needs 1.0 GB VRAM, and that of gpu-box is not known"),
    ],
)
def test_why_not(
    needs: Needs, min_vram: int, stages: tuple[str, ...], node: dict[str, Any], text: str | None
) -> None:
    box = facts("gpu-box", **({"models": frozenset({"sdxl"})} | node))
    assert why_not(needs, min_vram, stages, box) == text


HASH = "6ce0161689" + "ab" * 27
LORAS = {"loras": frozenset({"styles/Detailer.safetensors", "film"}), "samplers": frozenset({"Euler a"})}


@pytest.mark.parametrize(
    ("asked", "listed", "fits"),
    [
        ("x", "SDXL\\x.safetensors [6ce0161689]", True),
        ("SDXL/X.safetensors", "x", True),
        ("other.safetensors [6ce0161689]", "SDXL/x.ckpt [6ce0161689]", True),  # renamed there: the same file
        (HASH, "x [6ce0161689]", True),  # the whole hash, and its beginning
        ("6ce0161689", "x [6ce0161689]", True),
        ("x [6ce0161689]", "x [aaaaaaaaaa]", False),  # the same name, another file
        ("x [6ce0161689]", "x", True),  # no hash there: the name must do
        ("x [6ce01616]", "x [aaaaaaaaaa]", True),  # the old hash of 8 digits is of another kind
        ("x", "xx", False),
    ],
)
def test_models_are_compared_by_hash_or_else_by_name(asked: str, listed: str, fits: bool) -> None:
    box = facts("gpu-box", models=frozenset({listed, "another"}))
    assert (why_not(Needs(asked), 0, (), box) is None) is fits
    named = facts("gpu-box", names={"loras": frozenset({listed, "another"})})
    assert (why_not(Needs(names=frozenset({f"loras:{asked}"})), 0, (), named) is None) is fits


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("loras:detailer", None),
        ("loras:detail", "needs LoRA detail, which gpu-box has not; it has: styles/Detailer.safetensors"),
        ("loras:qqq", "needs LoRA qqq, which gpu-box has not"),
        ("samplers:euler A", None),
        ("samplers:DPM/Euler a", "needs sampler DPM/Euler a, which gpu-box has not; it has: Euler a"),
        ("upscalers:4x", None),  # a list that the node does not give
    ],
)
def test_a_node_that_lists_names_of_a_kind_must_have_the_one_asked_for(name: str, text: str | None) -> None:
    assert why_not(Needs(names=frozenset({name})), 0, (), facts("gpu-box", names=LORAS)) == text


def test_what_no_node_has_is_told_once_and_only_if_there_are_nodes() -> None:
    needs = [Needs("sdxl"), Needs("flux", names=frozenset({"loras:detail", "loras:film"}))] * 2
    one, two = facts("one", models=frozenset({"flux"}), names=LORAS), facts("two", models=frozenset({"sd15"}))
    assert nobody_has(needs, []) == []
    assert nobody_has(needs, [one]) == [
        "LoRA detail: no node in touch has it; one has: styles/Detailer.safetensors; its jobs wait for a node "
        "that has",
        "model sdxl: no node in touch has it; its jobs wait for a node that has",
    ]
    assert nobody_has([Needs("flux"), Needs("sd15")], [one, two]) == []  # each is somewhere


FACTS = st.builds(
    facts,
    st.sampled_from(["x", "y"]),
    models=st.frozensets(st.sampled_from(["m1", "m2"])),
    vram_total_bytes=st.sampled_from([0, 4 * GIB, 8 * GIB]),
)
NEEDS = st.builds(Needs, st.sampled_from(["", "m1", "m2"]), st.sampled_from([0, 4 * GIB, 6 * GIB]))


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.none() | FACTS), max_size=12),
    NEEDS,
    st.sampled_from([0, GIB]),
)
def test_the_matcher_remembers_nothing_wrong(
    changes: list[tuple[str, NodeFacts | None]], needs: Needs, min_vram: int
) -> None:
    """Whatever nodes come, change and go, its answer is that of why_not."""
    matcher = Matcher()
    nodes: dict[str, NodeFacts] = {}
    for node_id, node in changes:
        if node is None:
            matcher.remove(node_id)
            nodes.pop(node_id, None)
        else:
            matcher.put(node_id, node)
            nodes[node_id] = node
        wanted = {one for one, its in nodes.items() if why_not(needs, min_vram, ("txt2img",), its) is None}
        assert matcher.fits(matcher.requirement(needs, min_vram, ("txt2img",))) == wanted


# --- why is it waiting ----------------------------------------------------------------------------------------


def test_explain() -> None:
    grain = job("g1", stages=("txt2img", "grain"))
    driver = Driver(grain, *(job(f"j{number}") for number in range(4)))
    explain = driver.kernel.explain
    assert explain(grain) == "no node is connected"
    driver.hello("a")
    driver.hello("b", vram_total_bytes=4 * GIB)
    assert explain(grain) == "needs stage grain, which a has not; needs stage grain, which b has not"
    assert explain(job("j0")) == "leased on a"
    driver(DrainSet("b", True))
    assert explain(job("j9")) == "waits its turn, not among the next: a is busy (1 of 1)"
    driver(DrainSet("a", True))
    assert explain(job("j9")) == "a fits, but is draining; b fits, but is draining"
    driver(DrainSet("a", False))
    driver(Reported("a", 1, NodeGauges("unhealthy", problem="start the WebUI with --api")))
    assert explain(job("j9", needs=Needs(vram_bytes=6 * GIB))) == (
        "a fits, but is unhealthy: start the WebUI with --api"
    )
    driver.hello("c", features=frozenset())
    driver(Reported("c", 1, NodeGauges("unhealthy", problem="nobody answers")))
    assert explain(job("j9", needs=Needs(vram_bytes=6 * GIB))).endswith("--api; c is unhealthy: nobody answers")
    driver(PauseSet(True))
    assert explain(grain) == "the queue is paused"


def test_explain_counts_those_before() -> None:
    driver = Driver(*(job(f"j{number}") for number in range(6)))
    driver.hello("a")
    assert driver.kernel.explain(driver.queue[2]) == "next in the queue: a is busy (1 of 1)"
    assert driver.kernel.explain(driver.queue[5]) == "waits its turn, 3 before it: a is busy (1 of 1)"


# --- dry run --------------------------------------------------------------------------------------------------


def test_preview_follows_speed_and_fit_and_changes_nothing() -> None:
    driver = Driver()
    driver.hello("fast", speed=3.0)
    driver.hello("slow")
    jobs = [job(f"j{number:02}") for number in range(40)] + [job("x", stages=("grain",))]
    before = driver.kernel.nodes(driver.now)
    shown = driver.kernel.preview(jobs)
    assert [one.job_id for one in shown] == [one.job_id for one in jobs]
    names = [one.node_name for one in shown[:-1]]
    assert names.count("fast") in range(28, 33)
    assert names.count("slow") == 40 - names.count("fast")
    assert shown[0].reason == "in order"
    assert (shown[-1].node_name, shown[-1].reason) == (
        "",
        "needs stage grain, which fast has not; needs stage grain, which slow has not",
    )
    assert driver.kernel.nodes(driver.now) == before
    assert driver.kernel.preview(jobs) == shown


def test_preview_is_what_then_happens() -> None:
    jobs = [job("j1"), job("j2", needs=Needs(vram_bytes=10 * GIB))]
    driver = Driver()
    driver.hello("a")
    driver.hello("b", vram_total_bytes=12 * GIB)
    shown = {one.job_id: one.node_name for one in driver.kernel.preview(jobs)}
    driver.queue = jobs
    driver.kernel.use_scheduler(InOrder())
    from stablenew_kernel.domain.link import QueueChanged

    driver(QueueChanged(tuple(jobs)))
    assert (
        {one.job.job_id: one.node_name for one in driver.kernel.active_jobs()}
        == shown
        == {"j1": "a", "j2": "b"}
    )


def test_preview_without_nodes_says_so() -> None:
    (shown,) = Driver().kernel.preview([job("j1")])
    assert (shown.node_name, shown.reason) == ("", "no node is connected")


def test_preview_survives_a_scheduler_that_gives_nothing() -> None:
    class Nothing(InOrder):
        def assign(self, jobs: Any, nodes: Any, fits: Any, now: float) -> list[Any]:
            return []

    driver = Driver(scheduler=Nothing())
    driver(HelloReceived("a", 1, facts("a")))
    (shown,) = driver.kernel.preview([job("j1")])
    assert shown.node_name == ""
