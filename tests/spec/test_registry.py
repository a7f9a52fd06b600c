"""The registry of node classes."""

from __future__ import annotations

import dataclasses
import threading

import pytest

import comfy_nb as nb
from comfy_nb.spec.function import spec_from_function
from comfy_nb.spec.registry import Registry


def one() -> int:
    return 1


def two() -> int:
    return 2


def test_a_later_registration_of_a_name_replaces_the_earlier_one():
    registry = Registry()
    registry.register(spec_from_function(one, class_type="N"))
    later = registry.register(spec_from_function(two, class_type="N"))
    assert registry["N"] is later and len(registry) == 1 and list(registry) == ["N"]


def test_a_removed_class_is_there_no_more():
    registry = Registry()
    registry.register(spec_from_function(one))
    registry.remove("one")
    assert "one" not in registry


def test_an_unknown_class_is_answered_with_the_nearest_name():
    registry = Registry()
    registry.register(spec_from_function(one, class_type="ImageBlur"))
    with pytest.raises(nb.UnknownName, match="no node class 'ImageBlurr' in the registry. Did you mean 'ImageBlur'?"):
        registry["ImageBlurr"]
    with pytest.raises(nb.UnknownName, match="ImageBlur"):
        registry.remove("Blur")
    assert registry.find("Blur") is None
    assert 3 not in registry


def test_a_node_needs_a_name():
    with pytest.raises(nb.SpecError, match="class type"):
        Registry().register(dataclasses.replace(spec_from_function(one), class_type=""))


def test_what_comes_with_the_package_is_registered_at_the_first_look_and_once():
    calls = []

    def fill(registry):
        calls.append(1)
        registry.register(spec_from_function(one))

    registry = Registry(fill)
    assert calls == []
    assert "one" in registry and registry.find("one") and len(registry) == 1
    assert repr(registry) == "<Registry of 1 node classes>"
    assert calls == [1]


def test_an_own_node_registered_first_replaces_what_comes_with_the_package():
    registry = Registry(lambda target: target.register(spec_from_function(one, class_type="N")))
    mine = registry.register(spec_from_function(two, class_type="N"))
    assert registry["N"] is mine


def test_another_thread_never_sees_a_registry_half_filled():
    filling, looked = threading.Event(), threading.Event()
    found = []

    def fill(registry):
        filling.set()
        looked.wait(0.2)
        registry.register(spec_from_function(one))

    registry = Registry(fill)
    first = threading.Thread(target=lambda: len(registry))
    first.start()
    assert filling.wait(5)
    second = threading.Thread(target=lambda: (found.append(registry.find("one")), looked.set()))
    second.start()
    first.join(5)
    second.join(5)
    assert found[0] is not None


def test_an_error_while_filling_is_raised_each_time():
    def fill(registry):
        raise OSError("no library")

    registry = Registry(fill)
    for _ in range(2):
        with pytest.raises(OSError, match="no library"):
            len(registry)
