"""The library: what the command line does, for scripts and notebooks.

benchkit.load_model("minilm").encode(["a text"])                    float32 (n, d)
benchkit.compare(["minilm", "tfidf"], suite="quickstart")          Comparison
"""
