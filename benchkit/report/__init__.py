"""What was found, made readable: every function here reads a Comparison and computes no result of its own.

    Comparison ─┬─ view, words, budget, cost_view ─┬─ table      a terminal
                │                                  ├─ markdown   a pull request or a wiki
                │                                  └─ html ── charts, report.css        one file, no network
                ├─ json_form    a file for programs, and back
                └─ frame        pandas

The parts import each other only along these lines, each of the first four what stands before it; `compare`, with
`recommend`, makes the Comparison from cells, costs and the budget. `load` is apart: it shows models under load.
"""
