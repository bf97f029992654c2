"""Statistics: scores on resampled items, bootstrap intervals and paired tests, verdicts; arrays in, numbers out.

ItemScores ── weighted ──> score of any resample ── bootstrap ──> Draws ── paired ──> Interval, PairedDifference
                                                                                          └── decide ──> verdict, ranks
"""
