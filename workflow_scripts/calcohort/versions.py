"""The version of each stage. Raise it when the stage's numbers change: its results are then redone.

Snakemake sees when a script changes, not when this library does; the versions are parameters of
the rules, and a test with golden numbers fails when numbers change without a new version.
"""

STAGE_VERSIONS = {
    "convert": 1,
    "downscale": 1,
    "localise": 1,
    "crop": 1,
    "segment": 1,
    "root": 1,
    "measure": 1,
    "picture": 2,
    "compare": 1,
    "aggregate": 2,
    "agreement": 2,
    "laboratory": 2,
    "association": 1,
    "report": 3,
    "gallery": 1,
    "prepare": 1,
    "train": 1,
    "judge": 1,
    "summarise": 1,
}
