"""Pictures as data: every function takes records and returns a Chart, a Vega-Lite specification with its words.

    Comparison ─── quality · forest · tasks ─┐
    CostReport ─── cost                      ├──> Chart ─┬─ svg ──> a self-contained HTML report
    DriftReport ── drift                     │           └─ the dashboard draws it, with its own theme
    board rows ─── history, drift            ┘

A builder is pure and computes no result of its own: it chooses, orders and labels. It returns None where there is
nothing to draw. Colours are of a palette that people with any colour vision can tell apart (Okabe and Ito 2008), and
no colour says anything that a shape, a position or a word doesn't say too.
"""
