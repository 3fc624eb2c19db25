"""A station as a VisionSystemType of OPC 40100-1: its states, commands, recipes, results and events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, cast, get_args

from blemish.errors import BadInput, BlemishError, UnknownName
from blemish.serve.doors.transfer import RecipeTransfer, TooMuch
from blemish.serve.queries import Wanted, list_parts
from blemish.serve.records import Outcome, hash_bytes
from blemish.serve.states import OPERATIONAL, STATES, Command, State, WrongState

if TYPE_CHECKING:
    from asyncua import Node, Server, ua

    from blemish.serve.doors.opcua import OpcUa

_KEPT = ("VisionStateMachine", "RecipeManagement", "ResultManagement")
_WITHOUT = {
    "VisionStateMachine": ("ConfirmAll", "ErrorStepModel", "HaltedStepModel", "PreoperationalStepModel"),
    "VisionStateMachine/AutomaticModeStateMachine": (
        "SimulationMode", "ContinuousExecutionStepModel", "InitializedStepModel", "ReadyStepModel",
        "SingleExecutionStepModel",
    ),
    "RecipeManagement": (
        "AddRecipe", "PrepareProduct", "Products", "RecipeTransfer", "ReleaseRecipeHandle", "RemoveRecipe",
        "UnlinkProduct", "UnprepareProduct",
    ),
    "ResultManagement": ("ReleaseResultHandle", "ResultTransfer"),
}  # fmt: skip
"""Optional parts of the standard that are not there, by where they would be; `RecipeTransfer` is made anew."""
_STATE_NODES = {
    "Preoperational": 5028, "Halted": 5029, "Error": 5030, "Operational": 5031, "Initialized": 5056, "Ready": 5057,
    "SingleExecution": 5058, "ContinuousExecution": 5059,
}  # fmt: skip
_SYSTEM_TYPE, _RESULT_DATA, _RESULT_READY, _STATE_CHANGED, _RECIPE_PREPARED = 1003, 3006, 1024, 1018, 1022
_RESULT_STATES = {"inspected": 1, "not inspected": 3}  # Completed, Aborted; else 4, Failed
_STATUSES: Mapping[type[Exception], str] = {
    WrongState: "BadInvalidState", UnknownName: "BadNotFound", PermissionError: "BadUserAccessDenied",
    TooMuch: "BadResourceUnavailable",
}  # fmt: skip
MOST_RESULTS = 100
"""That are listed at once."""
_TOLD = {
    **dict.fromkeys(
        ("ResultId", "PartId", "MeasId", "JobId", "ProductId", "InternalRecipeId", "InternalConfigurationId"),
        "ExtensionObject",
    ),
    "IsPartial": "Boolean", "ResultState": "Int32", "CreationTime": "DateTime", "ResultContent": "Variant",
}  # fmt: skip
"""Of a result, by its event: with the type of each."""
_METHODS: Mapping[str, tuple[str, Command]] = {
    "Halt": ("VisionStateMachine", "halt"),
    "Reset": ("VisionStateMachine", "reset"),
    "Stop": ("VisionStateMachine/AutomaticModeStateMachine", "stop"),
    "Abort": ("VisionStateMachine/AutomaticModeStateMachine", "abort"),
}
"""Commands of a cause and its description."""
_MACHINE = "VisionStateMachine/AutomaticModeStateMachine"


class VisionSystem:
    """One station; all but commands is done in the server's thread."""

    def __init__(self, door: OpcUa, server: Server, home: asyncio.AbstractEventLoop, name: str) -> None:
        self.door, self.server, self.home, self.name = door, server, home, name
        self.station = door.link.stations[name]
        self.jobs = count(1)
        self.job, self.measurement = "", ""
        self.nodes: dict[str, Node] = {}
        self.events: dict[int, Any] = {}
        self.transfer = RecipeTransfer(self)

    async def build(self) -> None:
        """Make the nodes."""
        from asyncua import ua

        self.standard = await self.server.get_namespace_index("http://opcfoundation.org/UA/MachineVision")
        self.own = await self.server.get_namespace_index("urn:blemish:line")
        kind = ua.NodeId(_SYSTEM_TYPE, self.standard)
        objects = self.server.nodes.objects
        self.root = await objects.add_object(
            ua.NodeId(self.name, self.own), ua.QualifiedName(self.name, self.own), kind
        )
        await self._find(self.root, "")
        await self._cut()
        await self.transfer.build()
        for name, (place, command) in _METHODS.items():
            self.link(self.nodes[f"{place}/{name}"], self._commanding(command))
        for path, method in {
            f"{_MACHINE}/StartSingleJob": self._start_single,
            f"{_MACHINE}/StartContinuous": self._start_continuous,
            "VisionStateMachine/SelectModeAutomatic": self._select_mode,
            "RecipeManagement/PrepareRecipe": self._prepare,
            "RecipeManagement/UnprepareRecipe": self._unprepare,
            "RecipeManagement/GetRecipeListFiltered": self._list_recipes,
            "ResultManagement/GetResultById": self._get_result,
            "ResultManagement/GetResultComponentsById": self._get_components,
            "ResultManagement/GetResultListFiltered": self._list_results,
        }.items():
            self.link(self.nodes[path], method)
        self.last = await self.nodes["ResultManagement/Results"].add_variable(
            ua.NodeId(f"{self.name}.Results.Last", self.own), ua.QualifiedName("Last", self.own), None,
            varianttype=ua.VariantType.ExtensionObject, datatype=ua.NodeId(_RESULT_DATA, self.standard),
        )  # fmt: skip
        for number in (_RESULT_READY, _STATE_CHANGED, _RECIPE_PREPARED):
            self.events[number] = await self.server.get_event_generator(ua.NodeId(number, self.standard), self.root)
        await self._show_state()

    async def _find(self, node: Node, place: str) -> None:
        for child in await node.get_children():
            name = (await child.read_browse_name()).Name
            path = f"{place}/{name}" if place else name
            self.nodes[path] = child
            await self._find(child, path)

    async def _cut(self) -> None:
        gone = [path for path in self.nodes if "/" not in path and path not in _KEPT]
        gone += [f"{place}/{name}" for place, names in _WITHOUT.items() for name in names]
        await self.server.delete_nodes([self.nodes[path] for path in gone], recursive=True)

    def link(self, node: Node, method: Callable[..., Awaitable[Any]]) -> None:
        """A method of a node; what is refused is said by the standard's status codes."""
        from asyncua import ua

        async def called(_: Any, *given: ua.Variant) -> Any:
            try:
                found = await method(*(each.Value for each in given))
            except (BlemishError, PermissionError) as error:
                return ua.StatusCode(getattr(ua.StatusCodes, _status_of(error)))
            return [each if isinstance(each, ua.Variant) else ua.Variant(each) for each in found]

        self.server.link_method(node, called)

    @property
    def caller(self) -> str:
        """Who calls the method that is being answered; "" for nobody that was named."""
        from blemish.serve.doors.opcua import CALLER

        return CALLER.get()

    def require(self, role: str, what: str) -> None:
        """Raises PermissionError, which is counted and logged, where whoever calls may not do that here."""
        if not self.door.may(self.caller, role):
            said = f"{self.caller or 'somebody'} may not {what} {self.name}"
            self.home.call_soon_threadsafe(self.door.link.refuse, said)
            raise PermissionError(said)

    async def at_home(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do it in the line's own thread."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.home))

    async def _command(self, command: Command, recipe: str = "", *, part: str = "", product: str = "") -> None:
        self.require("operator", command)
        who = self.caller
        await self.at_home(self.door.link.command(self.name, command, recipe, part=part, product=product, person=who))

    def _commanding(self, command: Command) -> Callable[..., Awaitable[list[Any]]]:
        async def commanded(*_: object) -> list[Any]:
            await self._command(command)
            return [_no_error()]

        return commanded

    async def _select_mode(self) -> list[Any]:
        """There is one mode only."""
        if self.station.state not in OPERATIONAL:
            raise WrongState(f"{self.name} is {self.station.state}")
        return [_no_error()]

    async def _start_single(self, meas: Any, part: Any, recipe: Any, product: Any, *_: object) -> list[Any]:
        self._check_recipe(_id(recipe))
        await self._command("start_single", part=_id(part), product=_id(product))
        return self._begin_job(meas)

    async def _start_continuous(self, meas: Any, _part: Any, recipe: Any, *_: object) -> list[Any]:
        self._check_recipe(_id(recipe))
        await self._command("start_continuous")
        return self._begin_job(meas)

    def _begin_job(self, meas: Any) -> list[Any]:
        from asyncua import ua

        self.job, self.measurement = f"{self.name}-{next(self.jobs)}", _id(meas)
        return [cast(Any, ua).JobIdDataType(Id=self.job), _no_error()]

    def _check_recipe(self, recipe: str) -> None:
        if recipe and recipe != self.station.recipe:
            raise UnknownName(f"{self.name} has not prepared the recipe {recipe}")

    async def _prepare(self, outer: Any, inner: Any) -> list[Any]:
        await self._command("prepare", _id(outer) or _id(inner))
        found = self._recipe_id(self.station.recipe)
        await self._tell_prepared(found)
        return [found, True, _no_error()]

    async def _unprepare(self, outer: Any, inner: Any) -> list[Any]:
        recipe = _id(outer) or _id(inner)
        self._check_recipe(recipe)
        await self._command("unprepare")
        return [self._recipe_id(self.station.recipe), _no_error()]

    async def _list_recipes(self, outer: Any, _: Any, prepared: int, most: int, start: int, *__: object) -> list[Any]:
        """By the external id and whether they are prepared; products do not choose."""
        from asyncua import ua

        used = self.station.recipe if self.station.hash else ""
        found = [each for each in self.station.settings.recipes if _id(outer) in ("", each)]
        found = [each for each in found if prepared not in (0, 1) or (each == used) == bool(prepared)]
        shown = found[start : start + most] if most else found[start:]
        listed = ua.Variant([self._recipe_id(each) for each in shown], ua.VariantType.ExtensionObject, is_array=True)
        complete = start + len(shown) >= len(found)
        return [complete, _number(len(shown)), _number(0), listed, _no_error()]

    async def _get_result(self, result: Any, *_: object) -> list[Any]:
        return [_number(0), await self._known(_id(result)), _no_error()]

    async def _known(self, part: str) -> Any:
        """A result's id is its part's."""
        record = await self.at_home(self.door.link.front.recorded(self.station, part))
        if record is None:
            raise UnknownName(f"{self.name} knows no part {part}")
        return self._result(record.as_json())

    async def _get_components(self, result: Any, *_: object) -> list[Any]:
        """The same, field by field; none has a file."""
        from asyncua import ua

        found, made = await self._known(_id(result)), cast(Any, ua)
        return [
            False, _number(0), found.IsPartial, False, ua.Variant(int(found.ResultState), ua.VariantType.Int32),
            found.MeasId, found.PartId, made.RecipeIdExternalDataType(Id=""), found.InternalRecipeId, found.ProductId,
            found.InternalConfigurationId, found.InternalConfigurationId, found.JobId, found.CreationTime,
            made.ProcessingTimesDataType(StartTime=found.CreationTime, EndTime=found.CreationTime),
            ua.Variant(found.ResultContent, ua.VariantType.Variant, is_array=True), _no_error(),
        ]  # fmt: skip

    async def _list_results(self, state: int, meas: Any, part: Any, outer: Any, inner: Any, *rest: Any) -> list[Any]:
        """The latest first, at most MOST_RESULTS; jobs, measurements and configurations are not stored."""
        from asyncua import ua

        _, _, product, job, most, start, *_ = rest
        if _id(meas) or _id(job):
            raise BadInput("results are not found by measurement or job: ask for the part")
        name, digest = _id(inner) or _id(outer), (getattr(inner, "Hash", None) or b"").hex()
        if not digest and name not in ("", self.station.recipe):
            raise UnknownName(f"{name} is not in use: name its hash")
        digest = digest or (self.station.hash if name else "")
        wanted = Wanted(self.name, product=_id(product), recipe=digest, part=_id(part), outcomes=_outcomes_of(state))
        count = min(most or MOST_RESULTS, MOST_RESULTS)
        look = self.door.link.front.look_up(lambda connection: list_parts(connection, wanted, start + count + 1))
        rows = (await self.at_home(look))[start:]
        shown = ua.Variant([self._result(each) for each in rows[:count]], ua.VariantType.ExtensionObject, is_array=True)
        return [len(rows) <= count, _number(min(len(rows), count)), _number(0), shown, _no_error()]

    def _recipe_id(self, name: str, digest: str = "") -> Any:
        """With its hash, where it is the one in use."""
        from asyncua import ua

        known = digest or (self.station.hash if name == self.station.recipe else "")
        made = cast(Any, ua).RecipeIdInternalDataType(Id=name)
        if known:
            made.Hash, made.HashAlgorithm = hash_bytes(known), "SHA-256"
        return made

    def _result(self, values: Mapping[str, Any]) -> Any:
        """A record as the standard's result; its content: verdict, score, judged, late, the whole record as JSON."""
        from asyncua import ua

        made = cast(Any, ua)
        content = [values["verdict"], values["score"], values["judged"], values["late"], json.dumps(dict(values))]
        return made.ResultDataType(
            ResultId=made.ResultIdDataType(Id=values["part"]),
            IsPartial=values["outcome"] == "incomplete",
            ResultState=_RESULT_STATES.get(values["outcome"], 4),
            MeasId=made.MeasIdDataType(Id=self.measurement),
            PartId=made.PartIdDataType(Id=values["part"]),
            InternalRecipeId=self._recipe_id(self.station.recipe, values["recipe"]),
            ProductId=made.ProductIdDataType(Id=values["product"]),
            InternalConfigurationId=made.ConfigurationIdDataType(Id=""),
            JobId=made.JobIdDataType(Id=self.job),
            CreationTime=datetime.fromtimestamp(values["answered"], UTC),
            ResultContent=[ua.Variant(each) for each in content],
        )

    async def tell(self, kind: str, values: Mapping[str, Any]) -> None:
        """What has happened at the station; the true results of late parts are read by GetResultById."""
        if kind == "state":
            await self._show_state(values["state"].rpartition(".")[2])
            await self.events[_STATE_CHANGED].trigger(message=values["state"])
        elif not (values["late"] and values["judged"]):
            await self._tell_result(self._result(values), values["verdict"])

    async def _tell_result(self, result: Any, verdict: str) -> None:
        from asyncua import ua

        await self.last.write_value(ua.Variant(result, ua.VariantType.ExtensionObject))
        event = self.events[_RESULT_READY].event
        for name, kind in _TOLD.items():
            event.add_property(name, getattr(result, name), ua.VariantType[kind])
        await self.events[_RESULT_READY].trigger(message=f"{result.PartId.Id}: {verdict}")

    async def _tell_prepared(self, recipe: Any) -> None:
        self.events[_RECIPE_PREPARED].event.InternalId = recipe
        await self.events[_RECIPE_PREPARED].trigger(message=f"{recipe.Id} is prepared")

    async def _show_state(self, name: str = "") -> None:
        state = cast(State, name or self.station.state)
        assert state in STATES
        outer = "Operational" if state in OPERATIONAL else state
        await self._enter("VisionStateMachine", outer)
        await self._enter(_MACHINE, state if state in OPERATIONAL else "")

    async def _enter(self, machine: str, state: str) -> None:
        """ "" where the machine is in none."""
        from asyncua import ua

        known = ua.NodeId(_STATE_NODES[state], self.standard) if state else ua.NodeId()
        await self.nodes[f"{machine}/CurrentState"].write_value(ua.LocalizedText(state))
        await self.nodes[f"{machine}/CurrentState/Id"].write_value(ua.Variant(known, ua.VariantType.NodeId))


def _id(value: Any) -> str:
    """Of a structure of the standard; "" where it is left out."""
    return str(getattr(value, "Id", None) or "")


def _no_error() -> Any:
    from asyncua import ua

    return ua.Variant(0, ua.VariantType.Int32)


def _number(value: int) -> Any:
    from asyncua import ua

    return ua.Variant(value, ua.VariantType.UInt32)


def _status_of(error: Exception) -> str:
    """The name of the standard's status code."""
    found = (name for kind, name in _STATUSES.items() if isinstance(error, kind))
    return next(found, "BadInvalidArgument")


def _outcomes_of(state: int) -> tuple[str, ...]:
    """Of a `ResultState`; () for 0, which is any."""
    return tuple(each for each in get_args(Outcome) if _RESULT_STATES.get(each, 4) == state)
