"""The Methods paragraph says what was done, cites it, and nothing else; BibTeX is well formed."""

import re

import pytest
from calcohort import __version__
from calcohort.methods.paragraph import marked_methods, methods_paragraph
from calcohort.methods.references import (
    bibtex,
    cited,
    library,
    number_marks,
    of_package,
    reference_list,
)
from calcohort.provenance import PACKAGES, collect
from calcohort.study import read_config, read_settings
from calcohort.versions import STAGE_VERSIONS

COUNTS = {"sheet": 11, "measured": 8, "excluded": 2, "failed": 1}
WEIGHTS = {
    "segment": {"path": "mine/unet2.h5", "sha256": "cd" * 32},
    "localise": {"path": "mine/unet1.h5", "sha256": "ab" * 32},
}


def methods(weights=WEIGHTS, compared=True, **changes):
    config = read_config()
    for key, change in changes.items():
        config[key] = config.get(key, {}) | change
    settings = read_settings(config)
    provenance = collect(settings, weights, STAGE_VERSIONS, "cpu")
    return marked_methods(provenance, COUNTS, settings, compared), provenance


def test_parameters_formulas_and_versions_are_named():
    text, provenance = methods(
        measure={"k": 0.35, "min_luminance_hu": 180, "cube_sides_mm": [9, 8, 8]}
    )
    for part in (
        "Of 11 scans, 8 were measured, 2 were excluded",
        "1 failed",
        "slice spacing of at most 3 mm",
        "k = 0.35",
        "F1 = 600 HU",
        "F5 = 1.25 Lm",
        "F7 = Lm + k (1000 − Lm)",
        "cube of 9 × 8 × 8 mm",
        "below 180 HU",
        "metal in the root (2500 HU or more)",
        "noise that it alone was expected to give more than 300 mm³ by F7",
        "1 × 2 × 2",
        "224 × 256 × 256",
        f"version {__version__}",
        f"numpy {provenance['packages']['numpy']} [@harris2020]",
        provenance["config_hash"][:12],
        "abababababab",
        "[@minghini2023]",
        "450 if outflow < 300 else 850",
    ):
        assert part in text
    assert "phantoms" not in text


def test_without_a_limit_of_noise_none_is_named():
    text, _ = methods(measure={"max_noise_volume_mm3": None})
    assert "metal in the root (2500 HU or more)." in text
    shipped = {"segment": {"path": "models/unet2.weights.h5", "sha256": "cd" * 32}}
    assert "trained on phantoms" in methods(shipped)[0]


def test_without_networks_none_is_named_nor_cited():
    text, _ = methods(weights={})
    assert "of every measured scan was given as a mask" in text and "U-Net" not in text
    assert "cicek2016" not in cited(text)


@pytest.mark.parametrize(
    ("changes", "sentence", "keys"),
    [
        ({"scores": {"passport": True}}, "not comparable with published", {"agatston1990"}),
        (
            {"scores": {"passport": True, "contrast": False, "mass_calibration": 0.78}},
            "0.78 mg/cm³ per HU",
            {"mccollough2007"},
        ),
        (
            {"agreement": {"categories": {"calcium_volume_mm3": [0, 100, 300]}}},
            "0, 100, 300 mm³ (calcium volume)",
            {"cohen1968"},
        ),
        (
            {"agreement": {"equivalence_margins": {"threshold_hu": 20}}},
            "±20 HU (threshold)",
            {"schuirmann1987"},
        ),
        ({"agreement": {"subgroups": {"sex": []}}}, "Subgroups were made by sex", set()),
        ({"laboratory": {"rules": {"mine": "Lm - 5"}}}, "Lm − 5", set()),
        (
            {"association": {"outcomes": [{"column": "died"}], "groups": []}},
            "For died, areas under the ROC curve",
            {"delong1988", "holm1979"},
        ),
        (
            {"association": {"outcomes": [{"column": "died", "time": "years"}], "groups": []}},
            "For died, hazard ratios",
            {"cox1972", "holm1979"},
        ),
        (
            {"association": {"outcomes": [], "groups": ["site"]}},
            "Groups (site) were compared",
            {"holm1979"},
        ),
    ],
)
def test_a_choice_adds_its_sentence_and_references(changes, sentence, keys):
    text, _ = methods(**changes)
    plain, _ = methods()
    assert sentence in text and sentence not in plain
    assert keys <= set(cited(text)) and keys.isdisjoint(cited(plain))


def test_without_references_in_the_sheet_agreement_is_not_described():
    text, _ = methods(compared=False)
    assert "Agreement" not in text and "bland1986" not in cited(text)


def test_marks_become_numbers_and_a_list_in_their_order():
    text = "A [@bland1999] and B [@cox1972;@lin1989;@bland1999]."
    assert number_marks(text) == "A [1] and B [2, 3, 1]."
    assert reference_list(text)[2] == (
        "Lin LI. A concordance correlation coefficient to evaluate reproducibility. Biometrics. "
        "1989;45(1):255-268. doi:10.2307/2532051"
    )
    written = methods_paragraph(
        collect(read_settings(read_config()), WEIGHTS, STAGE_VERSIONS, "cpu"),
        COUNTS,
        read_settings(read_config()),
    )
    assert "[1] Minghini G, Cavallo AU, Miola A, Sisini V, Calore E, Fortini F, et al." in written
    assert "@" not in written


def test_bibtex_holds_what_is_cited_and_no_more():
    text, _ = methods()
    entries = re.findall(r"^@(\w+)\{(\w+),$", bibtex(text), re.MULTILINE)
    assert [key for _, key in entries] == cited(text)
    assert bibtex("[@bland1999]").splitlines() == [
        "@article{bland1999,",
        "  author = {Bland, J. M. and Altman, D. G.},",
        "  title = {{Measuring agreement in method comparison studies}},",
        "  journal = {Statistical Methods in Medical Research},",
        "  year = {1999},",
        "  volume = {8},",
        "  number = {2},",
        "  pages = {135--160},",
        "  doi = {10.1177/096228029900800204},",
        "}",
    ]
    assert r"Computing in Science \& Engineering" in bibtex("[@hunter2007]")
    assert "and others}" in bibtex("[@harris2020]")


def test_every_reference_is_complete_and_of_use():
    packages = {entry["package"] for entry in library().values() if "package" in entry}
    assert packages <= {name.lower() for name in PACKAGES}
    for key, entry in library().items():
        assert {"type", "author", "title", "year"} <= set(entry), key
        assert str(entry["year"]) in key
    assert of_package("no such package") is None
