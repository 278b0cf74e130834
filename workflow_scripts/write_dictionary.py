"""Write docs/data_dictionary.md and docs/outcomes.md from the schemas and the code."""

from calcohort.dictionary import data_dictionary, outcome_list
from calcohort.study import ROOT

if __name__ == "__main__":
    (ROOT / "docs/data_dictionary.md").write_text(data_dictionary(), encoding="utf-8")
    (ROOT / "docs/outcomes.md").write_text(outcome_list(), encoding="utf-8")
