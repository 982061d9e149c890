"""``stablenew randomizer`` and ``run --axis`` against a kernel on a real socket."""

from __future__ import annotations

import json

import pytest

from stablenew_proto.v1 import kernel_pb2 as pb

PLACE = pb.Place(
    pack="demo",
    slot="__hair__",
    mode="rotate",
    state="next is 4 of 12",
    changed_at="2026-11-22T20:00:00.000+00:00",
    kept_json=b'{"next": 3, "of": 12}',
)


def test_the_list_says_it_in_plain_words(kernel, call):
    kernel.places = [PLACE]
    for arguments in (("randomizer",), ("randomizer", "list")):
        result = call(*arguments)
        assert result.code == 0, result.err
        header, line = result.out.splitlines()
        assert header.split() == ["pack", "slot", "mode", "state", "last", "run"]
        assert line.split()[:2] == ["demo", "__hair__"]
        assert "next is 4 of 12" in line


def test_the_list_as_json_has_what_is_kept(kernel, call):
    kernel.places = [PLACE]
    (place,) = json.loads(call("randomizer", "--json").out)
    assert (place["slot"], place["kept"]) == ("__hair__", {"next": 3, "of": 12})


def test_an_empty_list_says_so(kernel, call):
    assert "nothing is kept" in call("randomizer").out


@pytest.mark.parametrize("pack", ["demo", "demo.txt", "packs/demo.TXT", "demo.tsv"])
def test_a_pack_may_be_named_by_its_file(kernel, call, pack):
    kernel.places = [PLACE]
    assert call("randomizer", "list", "--pack", pack, "--slot", "__hair__").code == 0
    assert kernel.requests("ListPlaces")[0] == pb.ListPlacesRequest(pack="demo", slot="__hair__")
    result = call("randomizer", "reset", "--pack", pack)
    assert (result.code, result.out) == (0, "1 slot begins anew\n")
    assert kernel.requests("ResetPlaces")[0] == pb.ResetPlacesRequest(pack="demo")


def test_reset_wants_to_know_which(kernel, call):
    result = call("randomizer", "reset")
    assert result.code == 2
    assert "say which: --pack, --slot, or --all" in result.err
    assert kernel.requests("ResetPlaces") == []
    assert json.loads(call("randomizer", "reset", "--all", "--json").out) == {"reset": 0}
    assert kernel.requests("ResetPlaces") == [pb.ResetPlacesRequest()]


def test_axes_go_to_the_kernel(kernel, call, pack):
    result = call("run", pack, "--axis", "txt2img.cfg_scale=5,7:rotate", "--axis", "steps=1,2")
    assert result.code == 0, result.err
    assert list(kernel.requests("SubmitRun")[0].run.axes) == ["txt2img.cfg_scale=5,7:rotate", "steps=1,2"]
