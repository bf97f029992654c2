"""What was found, made readable: every function here reads a Comparison and computes no result of its own.

    Comparison ─┬─ view, words ─┬─ table      a terminal
                │               ├─ markdown   a pull request or a wiki
                │               └─ html ── pictures, report.css      one file that needs no network
                ├─ json_form    a file for programs, and back
                └─ frame        pandas

The parts import each other only along these lines; `compare` comes before them and makes the Comparison.
"""
