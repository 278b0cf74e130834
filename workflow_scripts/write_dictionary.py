"""Write docs/data_dictionary.md, docs/outcomes.md, docs/defects.md from schemas and code."""

from calcohort.dictionary import data_dictionary, outcome_list
from calcohort.phantom.defects.table import defects_page
from calcohort.study import ROOT

if __name__ == "__main__":
    (ROOT / "docs/data_dictionary.md").write_text(data_dictionary(), encoding="utf-8")
    (ROOT / "docs/outcomes.md").write_text(outcome_list(), encoding="utf-8")
    (ROOT / "docs/defects.md").write_text(defects_page(), encoding="utf-8")
