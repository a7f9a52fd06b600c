"""`@nb.node` turns a typed function into a node, with options, and refuses what cannot be one."""

from __future__ import annotations

from typing import Any

import pytest

import comfy_nb as nb
from comfy_nb.spec.function import spec_from_function


class Model:
    """A foreign class, which graphs know by its name."""


# Options


def test_options_reach_the_spec():
    @nb.node(
        class_type="Shout", title="Shout it", category="text", output=True, thread_safe=True, grad=True, cache="off"
    )
    def f(text: str) -> str:
        """Say it loud."""
        return text.upper()

    spec = f.spec
    assert spec.class_type == "Shout" and nb.nodes.Shout.spec is spec
    assert (spec.display_name, spec.category, spec.description) == ("Shout it", "text", "Say it loud.")
    assert (spec.is_output, spec.thread_safe, spec.grad, spec.cache) == (True, True, True, "off")
    assert f.function("x") == "X"


def test_defining_a_node_again_replaces_it():
    @nb.node(class_type="Again")
    def first() -> int:
        return 1

    @nb.node(class_type="Again")
    def second() -> int:
        return 2

    assert nb.nodes.Again().run_sync() == 2


def test_lazy_inputs_named_in_a_collection_are_none_until_asked_for():
    with nb.use_session(nb.Session()):
        ran = []

        @nb.node(cache="off")
        def costly(x: int) -> int:
            ran.append(x)
            return x

        @nb.node(lazy=["x"])
        def ignore(x: int, y: int = 1) -> str:
            return f"{x} {y}"

        assert ignore(costly(5)).run_sync() == "None 1"
    assert ran == []


def test_lazy_inputs_with_a_predicate_are_computed_when_it_says_so():
    with nb.use_session(nb.Session()):

        @nb.node
        def costly(x: int) -> int:
            return x * 10

        @nb.node(lazy={"a": lambda first: first, "b": lambda first: not first})
        def choose(first: bool, a: int, b: int) -> str:
            return f"{a} {b}"

        assert choose(True, costly(1), costly(2)).run_sync() == "10 None"
        assert choose(False, costly(3), costly(4)).run_sync() == "None 40"


def test_one_lazy_input_may_be_given_as_text():
    def f(first: int, fir: int):
        return first

    spec = spec_from_function(f, lazy="first")
    assert spec.interface().lazy == {"first"}


def test_a_fingerprint_names_only_the_inputs_that_it_needs():
    seen = []

    def stamp(path: str) -> str:
        return path

    def everything(**inputs: Any) -> str:
        seen.append(inputs)
        return "x"

    def read(path: str, scale: float = 1.0):
        return path

    assert spec_from_function(read, fingerprint=stamp).fingerprint(path="a", scale=2.0) == "a"
    assert spec_from_function(read, fingerprint=everything).fingerprint(path="a", scale=2.0) == "x"
    assert seen == [{"path": "a", "scale": 2.0}]


def test_validate_refuses_a_graph_before_it_runs():
    with nb.use_session(nb.Session()):

        @nb.node(validate=lambda n: True if n % 2 == 0 else "n must be even")
        def half(n: int) -> int:
            return n // 2

        assert half(4).run_sync() == 2
        with pytest.raises(nb.ValidationError, match="n must be even"):
            half(3).run_sync()


async def test_an_async_function_has_a_timeout():
    import asyncio

    with nb.use_session(nb.Session()):

        @nb.node(timeout=0.01)
        async def wait() -> int:
            await asyncio.Event().wait()
            return 1

        with pytest.raises(nb.NodeTimeout, match="wait"):
            await wait()


def test_a_failing_call_is_repeated():
    with nb.use_session(nb.Session()):
        calls = []

        @nb.node(retries=2, backoff=0.0)
        def flaky() -> int:
            calls.append(1)
            if len(calls) < 3:
                raise OSError("busy")
            return len(calls)

        assert flaky().run_sync() == 3


def test_a_method_can_be_a_node():
    class Scaler:
        factor = 3

        def scale(self, x: int) -> int:
            return x * self.factor

    with nb.use_session(nb.Session()):
        assert nb.node(Scaler().scale)(4).run_sync() == 12


def test_a_static_method_is_a_function_like_any_other():
    class Numbers:
        @staticmethod
        @nb.node
        def doubled(x: int) -> int:
            return 2 * x

    assert Numbers.doubled(4).run_sync() == 8


# What cannot be a node


def sync(x: int) -> int:
    return x


async def background(x: int) -> int:
    return x


def several(*values: int) -> int:
    return 1


def named(**values: int) -> int:
    return 1


def positional(x: int, /) -> int:
    return x


def generator(x: int):
    yield x


async def async_generator(x: int):
    yield x


class Counter:
    def add(self, x: int) -> int:
        return x


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (Counter.add, {}, r"add is a method of Counter, and a node has no `self`. .* nb.node\(obj.add\)"),
        (several, {}, r"several\(values\): a node's inputs are named: \*args, \*\*kwargs and positional-only"),
        (named, {}, r"named\(values\): a node's inputs are named"),
        (positional, {}, r"positional\(x\): a node's inputs are named"),
        (generator, {}, "generator is a generator function. A node returns its result"),
        (async_generator, {}, "async_generator is a generator function"),
        (sync, {"timeout": 3}, r"sync: a timeout needs an async function.*graph.run\(timeout=...\)"),
        (background, {"timeout": 0}, "background: timeout must be seconds above 0, not 0"),
        (background, {"timeout": float("nan")}, "background: timeout must be seconds above 0, not nan"),
        (sync, {"retries": -1}, "sync: retries must be 0 or more, not -1"),
        (sync, {"cache": "sometimes"}, 'sync: cache must be "on", "off" or "node"'),
        (sync, {"lazy": ["y"]}, "sync: lazy names 'y', which is not among its inputs. There are: x."),
        (sync, {"list_output": ["INTS"]}, "sync: list_output names 'INTS', .* Did you mean 'INT'?"),
    ],
)
def test_what_cannot_be_a_node_is_refused_with_the_reason(function, options, words):
    with pytest.raises(nb.SpecError, match=words):
        spec_from_function(function, **options)


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Model, r"takes a function, not .*Model.*nb.register\(cls\)"),
        (3, "A node is made from a function .* not from 3"),
        (print, "A node is made from a function"),
    ],
)
def test_only_functions_can_be_declared_as_nodes(thing, words):
    with pytest.raises(nb.SpecError, match=words):
        nb.node(thing)
