"""Tasks: MTEB's own, from the hub or a local mirror, and a team's own data, all scored by MTEB.

TaskSpec ──open_task──> OpenedTask ──load──> one prototype of the data
                            │
Encoder ──MtebEncoder───────┴──score_task──> CellResult with per-item scores
"""
