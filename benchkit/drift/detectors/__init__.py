"""Named two-sample methods, each behind `DriftDetector`: a reference and a current sample in, one `DetectorResult` out.

    reference, current ── samples.py (checked, canonical order) ── one method ── permutations.py ── DetectorResult

    mmd, mmd-rff, energy, sliced-wasserstein, frechet, classifier, psi, jsd    permutation p-value
    ks                                                                         exact p-value for each direction, then BH

Whatever a method fits (bandwidth, directions, clusters, folds) it fits on both samples pooled, blind to which row came
from where. So exchanging rows between the samples changes nothing but the labels, and the permutation p-value holds its
rate at any size. Fitted on the reference alone it does not: unseen rows look new to every such frame.
"""
