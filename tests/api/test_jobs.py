"""Job specs: one canonical form, which survives the wire and the database to the last bit of a seed."""

from __future__ import annotations

import copy
import json
import math
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD

from stablenew_api.jobs import Artifact, JobSpec, JobState, Needs, StageSpec, canonical_json

# Text without lone surrogates, which UTF-8 cannot hold.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
objects = st.dictionaries(texts, values, max_size=2)
seeds = st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**53 + 1, 2**63, 2**64 - 1])
artifacts = st.builds(
    Artifact,
    name=texts,
    media_type=st.just("image/png"),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    size=st.integers(0, 2**40),
    tags=st.dictionaries(texts, texts, max_size=2),
)
needs = st.builds(Needs, texts, st.integers(0, 2**40), st.frozensets(texts, max_size=4))
stages = st.builds(
    StageSpec, name=texts, version=texts, prompt=texts, negative_prompt=texts, seed=seeds, config=objects
)
specs = st.builds(
    JobSpec,
    stages=st.lists(stages, max_size=2).map(tuple),
    needs=needs,
    inputs=st.lists(artifacts, max_size=1).map(tuple),
    run_timeout=st.floats(0.1, 1e6),
    provenance=objects,
)


@given(specs)
@A_THIRD
def test_a_spec_comes_back_from_its_bytes(spec: JobSpec) -> None:
    again = JobSpec.from_json(json.loads(spec.canonical()))
    assert again == spec
    assert again.canonical() == spec.canonical()
    assert again.sha256 == spec.sha256


@given(seeds)
def test_seeds_keep_all_64_bits(seed: int) -> None:
    spec = JobSpec(stages=(StageSpec("txt2img", "1", "", "", seed, {"seed": seed}),))
    again = JobSpec.from_json(json.loads(spec.canonical()))
    assert again.stages[0].seed == seed
    assert again.stages[0].config["seed"] == seed


@given(values)
@A_THIRD
def test_canonical_json_is_json_without_white_space(value: Any) -> None:
    data = canonical_json(value)
    assert json.loads(data) == value
    assert canonical_json(json.loads(data)) == data
    if not any(
        character.isspace() for character in json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    ):
        assert not any(character.isspace() for character in data.decode("utf-8"))


@given(st.dictionaries(texts, values, min_size=2, max_size=5), st.integers(0))
@A_THIRD
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], order: int) -> None:
    items = list(value.items())
    Random(order).shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(value)


def test_canonical_json_is_this() -> None:
    # Hashes of it are stored: a change here makes every older job a different one.
    value = {"b": [1, 2.5, None, True], "a": {"é": "蝶\n", "seed": 2**64 - 1}}
    expected = '{"a":{"seed":18446744073709551615,"é":"蝶\\n"},"b":[1,2.5,null,true]}'
    assert canonical_json(value) == expected.encode("utf-8")
    assert JobSpec(stages=()).sha256 == "9e92dd2ffd3a8b48342e9bd7f9abc0b72b1e709ebaa44de3deefb78c805aaa35"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, {"deep": [math.nan]}])
def test_no_number_that_json_cannot_hold(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object()])
def test_nothing_that_is_not_json(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


@given(specs)
@A_THIRD
def test_to_json_hands_out_copies(spec: JobSpec) -> None:
    kept = copy.deepcopy(spec)
    data = spec.to_json()
    data["provenance"]["new key of a careless caller"] = 1
    for stage in data["stages"]:
        stage["config"]["new key of a careless caller"] = 1
    for artifact in data["inputs"]:
        artifact["tags"]["new key of a careless caller"] = "1"
    assert spec == kept


@given(specs, st.sampled_from(["prompt", "seed", "version"]))
@A_THIRD
def test_another_job_has_another_hash(spec: JobSpec, field: str) -> None:
    data = spec.to_json()
    if not data["stages"]:
        data["run_timeout"] += 1
    elif field == "seed":
        data["stages"][0]["seed"] ^= 1
    else:
        data["stages"][0][field] += "x"
    assert JobSpec.from_json(data).sha256 != spec.sha256


@given(needs, needs, needs)
def test_needs_add_up(a: Needs, b: Needs, c: Needs) -> None:
    both = a | b
    assert both.vram_bytes == max(a.vram_bytes, b.vram_bytes)
    assert both.features == a.features | b.features
    assert both.model == (a.model or b.model)
    assert (a | b) | c == a | (b | c)
    assert a | Needs() == a == Needs() | a == a | a


def test_states_are_final_or_active_or_waiting() -> None:
    assert {state for state in JobState if state.final} == {JobState.DONE, JobState.FAILED, JobState.CANCELLED}
    assert {state for state in JobState if state.active} == {
        JobState.LEASED,
        JobState.RUNNING,
        JobState.UNKNOWN,
    }
    assert not any(state.final and state.active for state in JobState)
