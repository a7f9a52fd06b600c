"""Pools: named limits on how many nodes work at a time, or begin in a minute.

Begin with `fair_queue`: one queue for all pools of a session, which says who is next. It is pure: time is told to it.
`bucket` is the limit of calls a minute. `pool` is what a person makes and awaits, `pools` all those of a session.
"""
