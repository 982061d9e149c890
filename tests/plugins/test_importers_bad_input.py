"""Importers and broken files: cut, deep, huge, in another encoding. Never more than a UserError."""

from __future__ import annotations

import json
import struct
import time
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis_kit import A_THIRD
from importer_kit import IMPORTERS, golden_inputs, load, picture

from stablenew_api.errors import UserError
from stablenew_api.importer import Imported
from stablenew_api.png import SIGNATURE
from stablenew_kernel.domain.packs import parse_pack
from stablenew_kernel.domain.presets import parse_settings
from stablenew_plugins.importers.common import MAX_TEXT

PATIENCE = 6.0
"""Seconds of processor time, of which the slowest takes one. What takes quadratic time takes minutes."""
BY_NAME = pytest.mark.parametrize("kind", sorted(IMPORTERS))
TEXT_FORMATS = {
    "styles_csv": ("styles.csv", b"name,prompt\n"),
    "prompts_file": ("list.txt", b"--prompt a\n"),
    "dream_factory": ("list.prompts", b"[prompts]\n"),
    "wildcards": ("wildcards/hair.txt", b"red\n"),
    "fooocus_log": ("log.html", b"<p>Fooocus Log </p>\n"),
}
BY_TEXT = pytest.mark.parametrize("kind", sorted(TEXT_FORMATS))


def check(imported: Imported) -> None:
    """What was read can be written and read again."""
    for name, data in imported.files.items():
        data.decode("utf-8")
        if name.endswith(".json") and not name.startswith("wildcards/"):
            parse_settings(name, data)
        elif not name.startswith("wildcards/"):
            assert parse_pack(name, data).rows
    json.dumps(imported.settings)


def read_or_refuse(kind: str, name: str, data: bytes) -> str:
    """Read it; returns the refusal, empty if there was none."""
    importer = IMPORTERS[kind]()
    assert importer.sniff(name, data) in (True, False)
    refusal = ""
    try:
        check(importer.read(name, data))
    except UserError as error:
        refusal = str(error)
    assert "\n" not in refusal
    return refusal


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# --- texts ----------------------------------------------------------------------------------------------------


@BY_TEXT
def test_another_encoding_is_named_with_its_line(kind: str) -> None:
    name, start = TEXT_FORMATS[kind]
    refusal = read_or_refuse(kind, name, start + b"a caf\xe9,b\n")
    assert refusal == f"{name}, line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"
    assert "UTF-16" in read_or_refuse(kind, name, b"\xff\xfe" + start.decode().encode("utf-16-le"))
    assert f"{name}, line 2: a NUL byte" in read_or_refuse(kind, name, start + b"a\0b\n")


@BY_TEXT
def test_a_huge_file_is_refused_at_once(kind: str) -> None:
    name, start = TEXT_FORMATS[kind]
    begin = time.process_time()
    assert "MiB" in read_or_refuse(kind, name, start + b"a,b\n" * (MAX_TEXT // 3))
    assert time.process_time() - begin < PATIENCE


@pytest.mark.parametrize(
    ("kind", "name", "data", "refusal"),
    [
        ("styles_csv", "s.csv", b'name,prompt\na,b\nc,"never\nclosed\n', r"s\.csv, line 3: a quotation mark"),
        ("styles_csv", "s.csv", b"title,words\na,b\n", r"s\.csv, line 1: the header must name"),
        ("styles_csv", "s.csv", b"name,prompt\n---,\n", "no style with a prompt"),
        ("styles_csv", "s.csv", b"name,prompt\na," + b"x" * 200_000, "line 2: field larger than"),
        ("styles_csv", "s.csv", b"", "header"),
        ("prompts_file", "p.txt", b"\n# only\n--steps 3\n", "no prompt in it"),
        ("dream_factory", "d.prompts", b"[prompts 3-2]\na\n", r"line 1: picks of 3-2"),
        ("dream_factory", "d.prompts", b"[config]\n[prompts many]\na\n", r"line 2: \[prompts many\]"),
        ("dream_factory", "d.prompts", b"[prompts]\n!STEPS = 3\n", r"no prompt in a \[prompts\] section"),
        ("dream_factory", "d.prompts", b"[config]\n!MODE = process\n[prompts]\ngo\n", "process"),
        ("wildcards", "w.txt", b"# nothing\n\n", "no value in it"),
        ("wildcards", "w.json", b'{"a": [1,}', r"w\.json, line 1, column 10"),
        ("wildcards", "w.json", b'["a"]', "must hold keys"),
        ("wildcards", "w.yaml", b"a:\n  - b\n c: [\n", r"w\.yaml, line 3, column"),
        ("wildcards", "w.yaml", b"a: &x [b]\nc: *x\n", r"line 2: aliases"),
        ("wildcards", "w.yaml", b"? [a]\n: b\n", "a key that is no text"),
        ("a1111_image", "a.png", picture("a.png", {}), "no texts in it"),
        ("a1111_image", "a.jpg", picture("a.jpg", {}), "no texts in it"),
        ("a1111_image", "a.jpg", b"\xff\xd8\xff\xe0nonsense", "the JPEG file is cut off"),
        ("a1111_image", "a.png", b"GIF89a", "no PNG, JPEG, WebP or AVIF"),
        ("comfyui", "c.png", picture("c.png", {"workflow": "{}"}), "a workflow is for the editor"),
        ("comfyui", "c.png", picture("c.png", {"prompt": '{"1": {"class_type": "X"}}'}), "no sampler"),
        ("invokeai", "i.png", picture("i.png", {"invokeai_metadata": "[1]"}), "no JSON object"),
        ("invokeai", "i.png", picture("i.png", {"Dream": "a cat -s 50"}), "no prompt in quotation marks"),
        ("swarmui", "s.png", picture("s.png", {"parameters": '{"sui_image_params": 3}'}), "no sui_image"),
        ("novelai", "n.png", picture("n.png", {"Comment": "{"}), r"n\.png, Comment, line 1"),
    ],
)
def test_what_cannot_be_read_says_why(kind: str, name: str, data: bytes, refusal: str) -> None:
    with pytest.raises(UserError, match=refusal):
        IMPORTERS[kind]().read(name, data)


@pytest.mark.parametrize("opening", ['{"a":', "["])
@BY_NAME
def test_json_nested_a_hundred_thousand_deep(kind: str, opening: str) -> None:
    deep = '{"sui_image_params":' + opening * 100_000
    begin = time.process_time()
    keys = ("parameters", "prompt", "invokeai_metadata", "sd-metadata", "Comment", "stablenew")
    for key in keys:
        image = picture("deep.png", {key: deep, "Software": "NovelAI"})
        if not read_or_refuse(kind, "deep.png", image):
            assert (kind, key) == ("a1111_image", "parameters")  # any text is a prompt to A1111
    assert time.process_time() - begin < PATIENCE


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_yaml_nested_deeply(opening: str) -> None:
    begin = time.process_time()
    refusal = read_or_refuse("wildcards", "deep.yaml", opening.encode() * 100_000)
    assert "deep.yaml, line 1" in refusal
    assert time.process_time() - begin < PATIENCE


PARTS = [
    " ",
    "a",
    "1",
    "[[a ",
    "[[",
    "[",
    "{",
    "{a|",
    "<",
    "<a:",
    "<random:",
    "<random:a,",
    "/*",
    "//",
    " //",
    "/**/",
    "__",
    "\\",
    '"',
    "'",
    "--prompt ",
    "--steps 3 ",
    "!A=",
    "[prompts 1-2 ",
    "&#",
    "<!--",
    "<td class='key'>",
    "class='image-container'>",
    "a: b, ",
    "1::a",
    "1.",
    "(",
    "a++ ",
    "embedding:",
    "- ",
    "a:\n ",
    ",",
    "\n",
    "::",
]


@pytest.mark.parametrize("part", PARTS)
@BY_TEXT
def test_nothing_takes_quadratic_time(kind: str, part: str) -> None:
    """60,000 characters of the same, in one line and in many."""
    name, start = TEXT_FORMATS[kind]
    for between in (b"", b"\n"):
        data = start.removesuffix(b"\n") + between + (part * (60_000 // len(part))).encode()
        begin = time.process_time()
        read_or_refuse(kind, name, data + b"x")
        if kind == "wildcards":
            read_or_refuse(kind, "a.yaml", data)
        assert time.process_time() - begin < PATIENCE


@pytest.mark.parametrize("part", PARTS)
def test_no_prompt_of_an_image_takes_quadratic_time(part: str) -> None:
    long = "x" + part * (60_000 // len(part)) + "x"
    node = {"class_type": "CLIPTextEncode", "inputs": {"text": long}}
    sampler = {
        "steps": 5,
        "sampler_name": long,
        "latent_image": ["t", 0],
        "positive": ["t", 0],
        "model": ["m", 0],
    }
    loader = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": long}}
    for kind, texts in (
        ("a1111_image", {"parameters": f"{long}\nSteps: 20, Sampler: {long}, Seed: 1, Model: {long}"}),
        (
            "swarmui",
            {"parameters": json.dumps({"sui_image_params": {"prompt": long, "model": long, "loras": long}})},
        ),
        ("fooocus", {"parameters": json.dumps({"prompt": long, "base_model": long, "resolution": long})}),
        ("invokeai", {"invokeai_metadata": json.dumps({"positive_prompt": long, "scheduler": long})}),
        ("invokeai", {"Dream": f'"{long.replace(chr(34), "")}" {long}'}),
        ("novelai", {"Comment": json.dumps({"prompt": long, "uc": long, "sampler": long})}),
        (
            "comfyui",
            {
                "prompt": json.dumps(
                    {"t": node, "m": loader, "s": {"class_type": "KSampler", "inputs": sampler}}
                )
            },
        ),
    ):
        begin = time.process_time()
        read_or_refuse(kind, "a.png", picture("a.png", texts))
        assert time.process_time() - begin < PATIENCE, kind


def test_a_text_chunk_that_unpacks_to_gigabytes() -> None:
    """64 MiB at most are unpacked, whatever a few kilobytes claim to hold."""
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(b"a" * 2**20) for _ in range(200)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    data = SIGNATURE + head + chunk(b"zTXt", b"parameters\0\0" + bomb) + chunk(b"IEND", b"")
    begin = time.process_time()
    assert "bomb.png: a text in it is damaged" in read_or_refuse("a1111_image", "bomb.png", data)
    assert time.process_time() - begin < PATIENCE


def test_a_prompt_without_any_settings_of_a_megabyte() -> None:
    begin = time.process_time()
    assert not read_or_refuse("a1111_image", "long.png", picture("long.png", {"parameters": "a b" * 500_000}))
    assert time.process_time() - begin < PATIENCE


@pytest.mark.parametrize("path", golden_inputs(), ids=lambda path: path.name)
def test_a_file_cut_anywhere(path: Any) -> None:
    kind, name, data = load(path)
    for end in range(0, len(data), max(1, len(data) // 25)):
        read_or_refuse(kind, name, data[:end])


# --- graphs that lead nowhere, or round -----------------------------------------------------------------------


def graph(**nodes: Any) -> bytes:
    return picture("g.png", {"prompt": json.dumps(nodes)})


def test_a_graph_that_runs_in_a_circle() -> None:
    sampler = {
        "steps": 5,
        "sampler_name": "euler",
        "latent_image": ["c", 0],
        "model": ["m", 0],
        "positive": ["t", 0],
    }
    data = graph(
        s={"class_type": "KSampler", "inputs": sampler},
        c={
            "class_type": "LatentUpscaleBy",
            "inputs": {"samples": ["s", 0], "upscale_method": "x", "scale_by": ["c", 0]},
        },
        m={"class_type": "Reroute", "inputs": {"": ["m", 0]}},
        t={
            "class_type": "ConditioningCombine",
            "inputs": {"conditioning_1": ["t", 0], "conditioning_2": ["t", 0]},
        },
        o={"class_type": "SaveImage", "inputs": {"images": ["s", 0]}},
    )
    begin = time.process_time()
    imported = IMPORTERS["comfyui"]().read("g.png", data)
    assert any("tangled" in note or "nested" in note for note in imported.notes)
    assert time.process_time() - begin < PATIENCE


def test_texts_that_join_themselves() -> None:
    inputs = {"steps": 5, "sampler_name": "euler", "latent_image": ["x", 0], "positive": ["t", 0]}
    data = graph(
        s={"class_type": "KSampler", "inputs": inputs},
        t={"class_type": "CLIPTextEncode", "inputs": {"text": ["j", 0]}},
        j={"class_type": "StringConcatenate", "inputs": {"string_a": ["j", 0], "string_b": ["j", 0]}},
    )
    begin = time.process_time()
    assert any("joined more than" in note for note in IMPORTERS["comfyui"]().read("g.png", data).notes)
    assert time.process_time() - begin < PATIENCE


def test_a_long_chain_of_nodes() -> None:
    nodes = {str(at): {"class_type": "X", "inputs": {"any": [str(at + 1), 0]}} for at in range(20_000)}
    begin = time.process_time()
    assert "no sampler" in read_or_refuse("comfyui", "g.png", graph(**nodes))
    assert time.process_time() - begin < PATIENCE


def test_conditionings_that_double_at_each_level() -> None:
    nodes: dict[str, Any] = {
        str(number): {
            "class_type": "ConditioningCombine",
            "inputs": {"conditioning_1": [str(number + 1), 0], "conditioning_2": [str(number + 1), 0]},
        }
        for number in range(100)
    }
    inputs = {"steps": 5, "sampler_name": "euler", "latent_image": ["x", 0], "positive": ["0", 0]}
    nodes["s"] = {"class_type": "KSampler", "inputs": inputs}
    begin = time.process_time()
    check(IMPORTERS["comfyui"]().read("g.png", graph(**nodes)))
    assert time.process_time() - begin < PATIENCE


# --- anything at all ------------------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
texts = st.text(max_size=200)


def plain(text: str) -> str:
    return text.replace("\0", "")


@BY_TEXT
@given(body=texts, data=st.binary(max_size=200))
def test_any_text(kind: str, body: str, data: bytes) -> None:
    name, start = TEXT_FORMATS[kind]
    read_or_refuse(kind, name, start + body.encode("utf-8", "replace"))
    read_or_refuse(kind, name, start + data)
    read_or_refuse(kind, name, data)


@given(
    st.lists(
        st.sampled_from(["--prompt", "--steps", "--x", '"', "'", "\\", "a", "20", "#", "[[x]]", "{", "|", "\n"])
    )
)
def test_any_lines_of_options(words: list[str]) -> None:
    read_or_refuse("prompts_file", "p.txt", " ".join(words).encode())


@given(
    st.lists(
        st.sampled_from(
            [
                "[config]",
                "[prompts]",
                "[prompts 1-2]",
                '[prompts 2 ","]',
                "!STEPS = 3",
                "!MODE = random",
                "!NEG_PROMPT = x",
                ".",
                ", by",
                "a|b",
                "{",
                "}",
                "2::a",
                "__x__",
                "# c",
            ]
        )
    )
)
def test_any_sections(lines: list[str]) -> None:
    read_or_refuse("dream_factory", "d.prompts", "\n".join(lines).encode())


@given(
    st.lists(
        st.sampled_from(
            [
                "<div class='image-container'>",
                "<td class='key'>",
                "<td class='label'>",
                "<td class='value'>",
                "</td>",
                "Prompt",
                "Seed",
                "LoRA 1",
                "a : 1",
                "{",
                "&amp;",
                "<!--",
                "<![",
                "&#x",
                "12",
                "</div>",
            ]
        )
    )
)
def test_any_page(parts: list[str]) -> None:
    read_or_refuse("fooocus_log", "log.html", "".join(parts).encode())


@pytest.mark.parametrize("ending", ["yaml", "json", "txt"])
@given(tree=values, body=texts)
@A_THIRD
def test_any_tree(ending: str, tree: Any, body: str) -> None:
    for text in (json.dumps(tree), body):
        read_or_refuse("wildcards", f"wildcards/a.{ending}", text.encode("utf-8", "replace"))


@given(st.text(alphabet="<>:[],|abrandomwc:x123-{}", max_size=60), st.integers(1, 9))
def test_any_tags(text: str, line: int) -> None:
    read_or_refuse("wildcards", "wildcards/a.txt", f"<random:{text}>\n<wc:{text}>".encode())
    read_or_refuse("wildcards", "wildcards/a.txt", text.encode())


@pytest.mark.parametrize(
    ("kind", "key", "inside"),
    [
        ("a1111_image", "parameters", ""),
        ("stablenew_image", "stablenew", "spec"),
        ("swarmui", "parameters", "sui_image_params"),
        ("fooocus", "parameters", ""),
        ("invokeai", "invokeai_metadata", ""),
        ("invokeai", "sd-metadata", "image"),
        ("invokeai", "Dream", ""),
        ("novelai", "Comment", ""),
        ("comfyui", "prompt", ""),
    ],
)
@given(data=st.data())
@A_THIRD
def test_any_text_in_an_image(kind: str, key: str, inside: str, data: st.DataObject) -> None:
    """Made of the words that the golden inputs use, with any values."""
    words = sorted({word for word in WORDS[kind] if word}) or ["a"]
    found = data.draw(st.dictionaries(st.sampled_from(words), values | st.sampled_from(words), max_size=6))
    body: Any = {inside: found} if inside else found
    for text in (json.dumps(body), data.draw(texts), " ".join(map(str, found))):
        image = picture("a.png", {key: plain(text), "Software": "NovelAI"}, (64, 64))
        read_or_refuse(kind, "a.png", image)


def _words() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {kind: set() for kind in IMPORTERS}

    def collect(kind: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                found[kind].add(key)
                collect(kind, inner)

    for path in golden_inputs():
        if path.name.endswith(".image.json"):
            recipe = json.loads(path.read_text(encoding="utf-8"))
            for text in recipe["texts"].values():
                try:
                    collect(recipe["importer"], json.loads(text))
                except ValueError:
                    found[recipe["importer"]].update(text.split())
    return found


WORDS = _words()
LINKS = st.tuples(st.sampled_from(["1", "2", "3", "4", "5", "9"]), st.integers(0, 1)).map(list)
CLASSES = [
    "KSampler",
    "KSamplerAdvanced",
    "SamplerCustom",
    "SaveImage",
    "VAEDecode",
    "CLIPTextEncode",
    "LoraLoader",
    "CheckpointLoaderSimple",
    "EmptyLatentImage",
    "LatentUpscaleBy",
    "ConditioningConcat",
    "Reroute",
    "X",
]
NODES = st.fixed_dictionaries(
    {
        "class_type": st.sampled_from(CLASSES),
        "inputs": st.dictionaries(
            st.sampled_from(sorted({*WORDS["comfyui"], "", "conditioning", "value", "text"})),
            LINKS | scalars,
            max_size=8,
        ),
    }
)


@given(st.dictionaries(st.sampled_from(["1", "2", "3", "4", "5"]), NODES))
@A_THIRD
def test_any_graph(nodes: dict[str, Any]) -> None:
    nodes["s"] = {
        "class_type": "KSampler",
        "inputs": {
            "steps": 9,
            "sampler_name": "euler",
            "latent_image": ["1", 0],
            "positive": ["2", 0],
            "model": ["3", 0],
        },
    }
    begin = time.process_time()
    read_or_refuse("comfyui", "g.png", graph(**nodes))
    assert time.process_time() - begin < PATIENCE
