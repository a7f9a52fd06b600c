"""The results of nodes by key, in memory and on disk.

Begin with `store`: it looks keys up in the tiers (`tier`), `memory` first and then `disk`. An `entry` is one result,
`skip` a call that blockers kept from it. `seal` notices by `marks` that a held value was changed in place, of large
tensors at a `glance` where that will do. `memory_use` measures entries, `policies` choose what is evicted, and
`in_flight` lets equal nodes share one computation. The disk tier writes on a thread of its own (`writer`), one
`entry_file` an entry, its values as a `tree`. `cache_view` is `nb.cache`. Nothing here makes keys (see
`planning.keys`) or knows runs, plans or graphs.
"""
