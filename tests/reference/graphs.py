"""Random valid prompts over the zoo, and edits to them.

The result of a generated prompt never depends on the order in which nodes run. The only thing that could make it
do so is a lazy input that was not asked for, since its source may or may not have run. So such inputs are fed by
slots that never block and, in a node that is called per list index, hold exactly one item; the zoo's functions
ignore what they did not ask for.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.reference.classes import make_classes
from tests.reference.evaluator import is_link

Prompt = dict[str, dict[str, Any]]
Edit = tuple[str, str, Any]

CLASSES = make_classes()
SOURCES = ["Number", "Listed", "Number", "Listed", "Span", "Text"]
CHANCES = {
    "Listed": 2,
    "Add": 4,
    "Variadic": 2,
    "Countdown": 2,
    "Refuse": 3,
    "AsyncRefuse": 2,
    "Switch": 3,
    "ListSwitch": 4,
    "AsyncSwitch": 2,
    "Stages": 2,
    "BlockOdd": 4,
}
NAMES = [name for name in CLASSES for _ in range(CHANCES.get(name, 1))]
MOST_ITEMS = 9
MOST_EXPANSIONS = 3

ASKED_FOR_AT_TIMES = {
    ("Switch", "even"),
    ("Switch", "odd"),
    ("AsyncSwitch", "even"),
    ("AsyncSwitch", "odd"),
    ("ListSwitch", "even"),
    ("ListSwitch", "odd"),
    ("Stages", "second"),
    ("Stages", "third"),
}
EXPANDING = {"Expand", "ExpandPair", "Countdown", "ExpandOdd", "ExpandWithOutput", "AsyncExpand"}
FAILS_ON_EMPTY = {"Add", "Show"}  # the few mapped nodes that an empty list may reach
GROWTH = {("Span", 0): 3, ("Halves", 1): 2, ("BlockItems", 0): 2, ("Listed", 0): 5}
BLOCKING = {
    ("BlockOdd", 0),
    ("BlockOdd", 1),
    ("BlockOne", 0),
    ("BlockItems", 0),
    ("BlockInDict", 0),
    ("BlockInDict", 1),
}

NUMBERS = st.integers(-6, 15)
CONSTANTS = {
    "INT": NUMBERS,
    "STRING": st.sampled_from(["", "stop", "a", "stop", "long text"]),
    "INTS": st.integers(2, 5)
    .flatmap(lambda size: st.lists(NUMBERS, min_size=size, max_size=size))
    .map(lambda values: {"__value__": values}),
}


@dataclass(frozen=True)
class Slot:
    """An output of a node before it runs: at most `most` items, perhaps blockers, perhaps none."""

    node_id: str
    index: int
    count: int
    type: str
    most: int
    blockable: bool
    empty: bool


@st.composite
def prompts(draw: st.DrawFn, max_nodes: int = 12) -> tuple[Prompt, list[str] | None]:
    """Draw a valid prompt of up to `max_nodes` nodes and the ids wanted of it (None: the default)."""
    count = draw(st.integers(1, max_nodes) | st.integers((max_nodes + 1) // 2, max_nodes))
    ids = draw(st.permutations([str(number) for number in range(1, count + 1)]))
    prompt: Prompt = {}
    slots: list[Slot] = []
    used: set[str] = set()
    for position, node_id in enumerate(ids):
        if prompt and draw(st.integers(0, 7)) == 0:
            node = copy.deepcopy(prompt[draw(st.sampled_from(sorted(prompt)))])
        else:
            node = draw(nodes(SOURCES if position < count // 4 else NAMES, slots, used))
        prompt[node_id] = node
        used |= sources_of(node["inputs"])
        slots += slots_of(node_id, node, slots)
    order = draw(st.permutations(ids))
    some = st.lists(st.sampled_from(ids), min_size=1, unique=True)
    wanted = draw(st.sampled_from([None, leaves(prompt), leaves(prompt)]) | some)
    return {node_id: prompt[node_id] for node_id in order}, wanted


def leaves(prompt: Prompt) -> list[str]:
    """Return the ids of the nodes that feed no other."""
    used = set().union(*(sources_of(node["inputs"]) for node in prompt.values()))
    return [node_id for node_id in prompt if node_id not in used]


def sources_of(inputs: Mapping[str, Any]) -> set[str]:
    """Return the ids of the nodes that feed some inputs."""
    return {value[0] for value in inputs.values() if is_link(value)}


@st.composite
def edited_prompts(
    draw: st.DrawFn, max_nodes: int = 12, max_edits: int = 4
) -> tuple[Prompt, list[str] | None, list[Edit]]:
    """Draw a prompt as `prompts` does, and edits to apply one after the other between its runs."""
    prompt, wanted = draw(prompts(max_nodes))
    return prompt, wanted, draw(edits(prompt, max_edits))


def edits(prompt: Mapping[str, Any], max_edits: int = 4) -> st.SearchStrategy[list[Edit]]:
    """Draw a list of (node id, input, new constant), each for an input that is a constant now."""
    places = [
        (node_id, name, type_of(node["class_type"], name))
        for node_id, node in prompt.items()
        for name, value in node["inputs"].items()
        if not is_link(value) and is_declared(node["class_type"], name)
    ]
    if not places:
        return st.just([])

    def edits_of(place: tuple[str, str, str]) -> st.SearchStrategy[Edit]:
        node_id, name, type_name = place
        return st.tuples(st.just(node_id), st.just(name), CONSTANTS[type_name])

    return st.lists(st.sampled_from(places).flatmap(edits_of), max_size=max_edits)


def with_edit(prompt: Mapping[str, Any], edit: Edit) -> Prompt:
    """Return a copy of the prompt with one constant changed."""
    node_id, name, value = edit
    changed = copy.deepcopy(dict(prompt))
    changed[node_id]["inputs"][name] = value
    return changed


@st.composite
def nodes(draw: st.DrawFn, names: list[str], slots: list[Slot], used: set[str]) -> dict[str, Any]:
    """Draw a node of one of the named classes, whose inputs are constants and links to some of the slots."""
    class_type = draw(st.sampled_from(names))
    declared = CLASSES[class_type].INPUT_TYPES()
    optional = [name for name in declared["optional"] if draw(st.integers(0, 3))]
    inputs: dict[str, Any] = {}
    for name in [*declared["required"], *optional]:
        inputs[name] = draw(values(class_type, name, slots, used | sources_of(inputs)))
    if class_type == "Variadic":
        inputs |= draw(undeclared_inputs(slots))
    return {"class_type": class_type, "inputs": inputs}


def values(class_type: str, name: str, slots: list[Slot], used: set[str]) -> st.SearchStrategy[Any]:
    """Draw a link three times out of four where any slot fits, else a constant."""
    constants = CONSTANTS[type_of(class_type, name)]
    sure = [slot for slot in slots if fits(class_type, name, slot) and not slot.empty]
    if not sure:
        return constants
    if (class_type, name) in ASKED_FOR_AT_TIMES:
        sure = [slot for slot in sure if slot.node_id not in used] or sure  # so that it matters who asks
    more = [slot for slot in sure if (slot.most > 1 or slot.blockable) and slot.node_id not in used]
    sure += 4 * more  # so that different lists and blockers meet
    links = st.sampled_from(sure).flatmap(links_to)
    risky = [slot for slot in slots if fits(class_type, name, slot) and slot.empty]
    if risky and (takes_any_list(class_type, name) or class_type in FAILS_ON_EMPTY):
        links = st.sampled_from(sure + risky).flatmap(links_to)
    return st.integers(0, 3).flatmap(lambda choice: links if choice else constants)


@st.composite
def undeclared_inputs(draw: st.DrawFn, slots: list[Slot]) -> dict[str, Any]:
    """Draw links, which are passed on, and perhaps a constant, which is dropped."""
    numbers = [slot for slot in slots if slot.type == "INT" and fits("Variadic", "", slot) and not slot.empty]
    linked = draw(st.lists(st.sampled_from(numbers), max_size=3)) if numbers else []
    inputs: dict[str, Any] = {f"x{i}": draw(links_to(slot)) for i, slot in enumerate(linked)}
    return inputs | ({"dropped": 100} if draw(st.booleans()) else {})


def links_to(slot: Slot) -> st.SearchStrategy[list[Any]]:
    """Draw a link to a slot, counted from the front or from the end."""
    return st.sampled_from([[slot.node_id, slot.index], [slot.node_id, slot.index - slot.count]])


def fits(class_type: str, name: str, slot: Slot) -> bool:
    """Tell whether a slot may feed an input without making the result depend on the order in which nodes run."""
    if name and slot.type != type_of(class_type, name):
        return False
    if takes_any_list(class_type, name) and (class_type, name) not in ASKED_FOR_AT_TIMES:
        return True
    if (class_type, name) in ASKED_FOR_AT_TIMES:
        is_one_item = slot.most == 1 and not slot.empty
        return not slot.blockable and (is_one_item or takes_any_list(class_type, name))
    if class_type == "Fewer" and slot.blockable:
        return False
    return slot.most <= (MOST_EXPANSIONS if class_type in EXPANDING else MOST_ITEMS)


def slots_of(node_id: str, node: Mapping[str, Any], slots: list[Slot]) -> list[Slot]:
    """Derive the outputs of a node from the slots that feed it."""
    class_type = node["class_type"]
    feeding = {name: feeding_slot(value, slots) for name, value in node["inputs"].items() if is_link(value)}
    mapped = [slot for name, slot in feeding.items() if not is_raw(class_type, name)]
    most = 1 if class_type in ("Total", "Join") else max((slot.most for slot in mapped), default=1)
    fed_by_blockable = any(slot.blockable for slot in feeding.values())
    empty = class_type == "Evens" or (class_type == "ListSwitch" and any(slot.empty for slot in mapped))
    types = CLASSES[class_type].RETURN_TYPES
    return [
        Slot(
            node_id,
            index,
            len(types),
            type_name,
            most * GROWTH.get((class_type, index), 1),
            fed_by_blockable or (class_type, index) in BLOCKING,
            empty,
        )
        for index, type_name in enumerate(types)
    ]


def feeding_slot(link: list[Any], slots: list[Slot]) -> Slot:
    return next(slot for slot in slots if slot.node_id == link[0] and slot.index == link[1] % slot.count)


def declaration(class_type: str, name: str) -> tuple[str, Mapping[str, Any]]:
    declared = CLASSES[class_type].INPUT_TYPES()
    type_name, options = (declared["required"] | declared["optional"])[name]
    return type_name, options


def type_of(class_type: str, name: str) -> str:
    return declaration(class_type, name)[0]


def is_declared(class_type: str, name: str) -> bool:
    declared = CLASSES[class_type].INPUT_TYPES()
    return name in declared["required"] or name in declared["optional"]


def is_raw(class_type: str, name: str) -> bool:
    return is_declared(class_type, name) and bool(declaration(class_type, name)[1].get("rawLink"))


def takes_any_list(class_type: str, name: str) -> bool:
    """Tell whether an input may be given an empty or a long list."""
    return is_raw(class_type, name) or bool(getattr(CLASSES[class_type], "INPUT_IS_LIST", False))
