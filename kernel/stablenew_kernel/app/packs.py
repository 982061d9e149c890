"""Packs by content: described, checked and edited, for the service and for the command line alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random

from stablenew_api.errors import PluginError, UserError
from stablenew_api.host import PluginHost
from stablenew_api.jobs import JsonValue
from stablenew_client.wildcardfolder import WildcardFolder
from stablenew_kernel.app.core import Core
from stablenew_kernel.app.planning import Planner, is_later
from stablenew_kernel.app.runs import last_run
from stablenew_kernel.domain.packs import Pack, parse_pack
from stablenew_kernel.domain.packs.check import (
    Inventory,
    Report,
    check_pack,
    check_prompt,
    missing_models,
    prompt_pack,
)
from stablenew_kernel.domain.packs.describe import SlotInfo, Survey
from stablenew_kernel.domain.packs.document import open_document
from stablenew_kernel.domain.packs.model import Problem
from stablenew_kernel.domain.packs.spans import estimated_tokens, spans_of
from stablenew_kernel.domain.plan import PlanRequest, Prepared, count_images, prepare
from stablenew_kernel.domain.randomizer.space import SpaceError
from stablenew_kernel.domain.randomizer.wildcards import Wildcards
from stablenew_kernel.domain.rows import parse_rows
from stablenew_proto.v1 import kernel_pb2, packs_pb2

LARGEST_COUNT = 2**64 - 1
"""Options of a slot that the wire can say."""

FIRST = 5
"""Values of a wildcard that a list shows."""

LOOKED_AT = 50
"""Options of a slot that are compared for the longest one."""

_OPTIONS = ("--", "randomization.modes.", "randomization.values.")
"""How an error begins that is about the request and not about a file."""

Settings = Mapping[str, JsonValue]


class PackReader:
    """What there is to know about packs. Blocking; thread-safe. Nothing is kept, and no pack is opened.

    ``last`` are the settings of the last run, for a request that is to be like it.
    """

    def __init__(self, host: PluginHost, planner: Planner, wildcards: WildcardFolder) -> None:
        """``planner`` plans as a run would; ``wildcards`` are the person's own."""
        self._host, self._planner, self._wildcards = host, planner, wildcards

    # --- packs ----------------------------------------------------------------------------------------------

    def check(
        self,
        run: kernel_pb2.RunRequest,
        inventory: Inventory | None = None,
        last: Settings | None = None,
        along: Callable[[Prepared, Pack], Callable[[int], None]] | None = None,
    ) -> Report:
        """What is wrong with the pack of ``run``. Raises UserError for what else it would be run with: preset,
        wildcards, profiles. ``along``: see :func:`check_pack`."""
        bare = kernel_pb2.RunRequest()
        bare.CopyFrom(run)
        bare.sidecar = b""  # the check reads it itself, and says where it is wrong
        return check_pack(
            run.pack_name,
            run.pack,
            self._host.stages,
            self._host.randomizers,
            sidecar_name=run.sidecar_name,
            sidecar=run.sidecar,
            like=self._planner.request(bare, last),
            inventory=inventory,
            along=along,
        )

    def images(self, run: kernel_pb2.RunRequest, last: Settings | None = None) -> int | None:
        """How many images a run makes; None: it would be refused."""
        try:
            return self._planner.plan(run, last, dry=True).count
        except (UserError, PluginError):
            return None

    def _images(
        self, run: kernel_pb2.RunRequest, pack: Pack, survey: Survey | None, last: Settings | None
    ) -> int | None:
        """As :meth:`images`, from what is known of the rows of ``pack``. A whole plan is made where it knows
        more than these: of images, filters, profiles, and of what strategies remember."""
        count = survey.count if survey is not None else None
        # A sidecar that lies in the pack itself may be looked at and not be sent, or be another one.
        other = run.sidecar_name == run.pack_name and run.sidecar != run.pack
        if survey is None or other or is_later(run) or self._host.listens("filter_jobs"):
            return self.images(run, last)
        request = replace(self._planner.request(run, last), pack=pack)
        if request.profiles or (count is not None and count.slots):
            return self.images(run, last)
        try:
            return None if count is None else count_images(request, count)
        except (UserError, PluginError):
            return None

    def describe(
        self,
        request: packs_pb2.DescribePackRequest,
        inventory: Inventory | None = None,
        last: Settings | None = None,
    ) -> packs_pb2.DescribePackResponse:
        """Rows, slots, and with ``check`` problems. Raises UserError where a run with these settings would be
        refused; with ``check`` what is wrong in the files is told as problems instead."""
        run = request.run
        problems: Sequence[Problem] = ()
        survey: Survey | None = None

        def begin(prepared: Prepared, pack: Pack) -> Callable[[int], None]:
            nonlocal survey
            numbers = parse_rows(run.rows, len(pack.rows), pack.name)
            survey = Survey(prepared, pack, {number - 1 for number in numbers})
            return survey.row

        if request.check:
            report = self.check(run, inventory, last, begin)
            pack, problems = report.pack, report.problems
            if pack is None:
                return packs_pb2.DescribePackResponse(problems=map(_problem, problems))
            if survey is None:
                self._refuse_options(run, pack, last)
                parse_rows(run.rows, len(pack.rows), pack.name)
        else:
            pack = parse_pack(run.pack_name, run.pack)
            look = begin(self._prepared(self._planner.request(run, last), pack), pack)
            for place in range(len(pack.rows)):
                look(place)
        count = self._images(run, pack, survey, last)
        return packs_pb2.DescribePackResponse(
            rows=[
                packs_pb2.PackRow(
                    number=row.number,
                    line=row.line,
                    positive=row.positive,
                    negative=row.negative,
                    text=row.template,
                )
                for row in pack.rows[: request.rows or None]
            ],
            row_count=len(pack.rows),
            problems=map(_problem, problems),
            slots=map(_slot, survey.slots) if survey is not None else (),
            images="" if count is None else str(count),
        )

    def _prepared(self, request: PlanRequest, pack: Pack) -> Prepared:
        # No number that is drawn changes what there is to choose from.
        rng = Random(0)  # noqa: S311
        request = replace(request, pack=pack)
        return prepare(request, self._host.stages, rng=rng, randomizers=self._host.randomizers)

    def _refuse_options(self, run: kernel_pb2.RunRequest, pack: Pack, last: Settings | None) -> None:
        """Raise what the plan says about options of the run: they stand in no file."""
        try:
            self._prepared(self._planner.request(run, last), pack)
        except (UserError, PluginError) as error:
            if str(error).startswith(_OPTIONS):
                raise

    def edit(self, request: packs_pb2.EditPackRequest) -> bytes:
        """The content of a pack after edits. What they do not name stays, byte by byte. Raises UserError."""
        document = open_document(request.name, request.content)
        for number, edit in enumerate(request.edits, 1):
            kind = edit.WhichOneof("edit")
            if kind == "set_row":
                row = edit.set_row
                document = document.set_row(
                    row.row,
                    positive=row.positive if row.HasField("positive") else None,
                    negative=row.negative if row.HasField("negative") else None,
                )
            elif kind == "add_row":
                new = edit.add_row
                document = document.add_row(new.positive, new.negative, new.at or None)
            elif kind == "remove_row":
                document = document.remove_row(edit.remove_row)
            elif kind == "move_row":
                document = document.move_row(edit.move_row.row, edit.move_row.to)
            else:
                raise UserError(f"edit {number} of {request.name}: none that this kernel knows; update it")
        return document.to_bytes()

    # --- prompts --------------------------------------------------------------------------------------------

    def read_prompt(
        self,
        request: packs_pb2.ReadPromptRequest,
        inventory: Inventory | None = None,
        last: Settings | None = None,
    ) -> packs_pb2.ReadPromptResponse:
        """What one prompt is made of. Why settings of its run are refused is one of its problems."""
        prompt = request.prompt
        pack = prompt_pack(prompt)
        problems: list[Problem] = []
        prepared = None
        try:
            prepared = self._prepared(self._planner.request(request.run, last), pack)
        except (UserError, PluginError) as error:
            reason, _, fix = str(error).rpartition("; ")
            problems.append(Problem(1, 1, reason or fix, fix if reason else "correct it", file="settings"))
        problems += check_prompt(pack, prepared, inventory)
        return packs_pb2.ReadPromptResponse(
            spans=[
                packs_pb2.Span(start=one.start, end=one.end, kind=one.kind, name=one.name, depth=one.depth)
                for one in spans_of(prompt)
            ],
            problems=map(_problem, problems),
            tokens=estimated_tokens(_longest(prompt, prepared)),
            models=missing_models(prompt, inventory or Inventory()),
        )

    # --- wildcards ------------------------------------------------------------------------------------------

    def wildcards(self) -> packs_pb2.ListWildcardsResponse:
        """The person's own, by name. Raises UserError for a folder that cannot be read."""
        known = Wildcards({}, [self._wildcards.files()])
        found = []
        for name in known.names():
            (one,) = known.find(name)
            first = [value.text for value in one.values[:FIRST]]
            found.append(
                packs_pb2.WildcardInfo(name=name, values=len(one.values), first=first, source=one.source)
            )
        return packs_pb2.ListWildcardsResponse(wildcards=found)


def _longest(prompt: str, prepared: Prepared | None) -> str:
    """The longest variant of ``prompt``, of each slot's first :data:`LOOKED_AT` options; itself where it cannot
    be resolved."""
    if prepared is None:
        return prompt
    try:
        space = prepared.variants.space([(prompt, "")])
    except SpaceError:
        return prompt
    picks = {}
    for slot in space.slots:
        options = range(min(slot.part.size, LOOKED_AT))
        picks[slot.id] = max(options, key=lambda index, slot=slot: estimated_tokens(slot.label(index)))  # type: ignore[misc]
    return space.texts(picks)[0]


def _problem(problem: Problem) -> packs_pb2.PackProblem:
    return packs_pb2.PackProblem(
        row=problem.row,
        line=problem.line,
        column=problem.column,
        severity=problem.severity,
        reason=problem.reason,
        fix=problem.fix,
        file=problem.file,
    )


def _slot(slot: SlotInfo) -> packs_pb2.PackSlot:
    return packs_pb2.PackSlot(
        name=slot.name,
        kind=slot.kind,
        options=slot.options,
        option_count=min(slot.count, LARGEST_COUNT),
        mode=slot.mode,
        source=slot.source,
        rows=slot.rows,
        setting=slot.setting,
        options_setting=slot.options_setting,
    )


def inventory_of(nodes: Iterable[kernel_pb2.Node]) -> Inventory:
    """LoRAs and embeddings that the nodes tell of; None of a kind that no node tells."""
    backends = [node.info.backend for node in nodes]
    loras = {name for backend in backends for name in backend.loras}
    embeddings = {name for backend in backends for name in backend.embeddings}
    return Inventory(loras or None, embeddings or None)


class PackDesk:
    """:class:`PackReader` for the kernel's loop. Raises as it does."""

    def __init__(self, core: Core, reader: PackReader, nodes: Callable[[], Sequence[kernel_pb2.Node]]) -> None:
        """``nodes``: those that there are, with what they have."""
        self._core, self._reader, self._nodes = core, reader, nodes

    async def describe(self, request: packs_pb2.DescribePackRequest) -> packs_pb2.DescribePackResponse:
        """Rows, slots, problems."""
        last = await last_run(self._core, request.run)
        return await self._core.in_thread(self._reader.describe, request, inventory_of(self._nodes()), last)

    async def edit(self, request: packs_pb2.EditPackRequest) -> packs_pb2.EditPackResponse:
        """The content after edits."""
        return packs_pb2.EditPackResponse(content=await self._core.in_thread(self._reader.edit, request))

    async def read_prompt(self, request: packs_pb2.ReadPromptRequest) -> packs_pb2.ReadPromptResponse:
        """What one prompt is made of."""
        last = await last_run(self._core, request.run)
        return await self._core.in_thread(self._reader.read_prompt, request, inventory_of(self._nodes()), last)

    async def wildcards(self) -> packs_pb2.ListWildcardsResponse:
        """The kernel's own."""
        return await self._core.in_thread(self._reader.wildcards)
