"""The version of each stage. Raise it when the stage's numbers change: its results are then redone.

Snakemake sees when a script changes, not when this library does; the versions are parameters of
the rules, and a test with golden numbers fails when numbers change without a new version.
"""

STAGE_VERSIONS = {
    "convert": 2,
    "downscale": 2,
    "localise": 3,
    "crop": 2,
    "segment": 1,
    "root": 4,
    "measure": 8,
    "picture": 3,
    "compare": 1,
    "aggregate": 4,
    "agreement": 4,
    "laboratory": 2,
    "association": 1,
    "drift": 1,
    "report": 7,
    "gallery": 2,
    "paper": 1,
    "prepare": 4,
    "train": 2,
    "judge": 1,
    "summarise": 2,
}
