"""A team's own data as plain records: whatever could be read in two ways is refused with its place, or noted.

    a file, or a file of a folder ── files.py ──> Row(place, values) ── table.py ──> columns of one kind, problems
        columns ─┬─ pairs.py ──────> PairData       STS, PairClassification, BitextMining
                 ├─ labelled.py ───> LabelledData   Classification, MultilabelClassification, Clustering
                 └─ retrieval.py ──> RetrievalData  Retrieval, Reranking

    problems.py gathers what is wrong, so that it is said at once; notes.py says what a reader of the score should know

A place in a message is "file:line" for text files and "file: row n" for Parquet.
"""
