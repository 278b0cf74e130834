"""The Methods paragraph of a paper that uses a study's numbers: what was done, and with what."""

from collections.abc import Iterable, Mapping
from typing import Any

from calcohort.agreement.readings import NAMES, UNITS
from calcohort.agreement.resampling import RESAMPLES
from calcohort.laboratory.score import PUBLISHED
from calcohort.measure import RULES, MeasureSettings
from calcohort.methods.references import number_marks, of_package, reference_list

MINUS = "\u2212"


def methods_paragraph(
    provenance: Mapping[str, Any],
    counts: Mapping[str, int],
    settings: Mapping[str, Any],
    compared: bool = True,
) -> str:
    """Write the Methods with numbered references, as plain text; parameters of `marked_methods`."""
    text = marked_methods(provenance, counts, settings, compared)
    numbered = (f"[{n}] {entry}" for n, entry in enumerate(reference_list(text), start=1))
    return " ".join([number_marks(text), *numbered])


def marked_methods(
    provenance: Mapping[str, Any],
    counts: Mapping[str, int],
    settings: Mapping[str, Any],
    compared: bool = True,
) -> str:
    """Write the Methods with marks for references (`references`).

    Parameters
    ----------
    provenance : mapping
        What `provenance.collect` returned.
    counts : mapping
        Number of scans: `sheet`, `measured`, `excluded`, `failed`.
    settings : mapping
        The study's settings (`study.read_settings`).
    compared : bool
        Whether measured scans have references: without, agreement is not described.
    """
    sentences = [
        *_scans(provenance, counts, settings["convert"]),
        _networks(provenance, settings),
        *_measures(MeasureSettings(**settings["measure"])),
        *_scores(settings["scores"], settings["measure"]["mask_rule"]),
        *(_agreement(settings["agreement"]) if compared else ()),
        *(_laboratory(settings["laboratory"]["rules"]) if compared else ()),
        *_association(settings["association"]),
        _software(provenance),
    ]
    return " ".join(sentences)


def _scans(provenance, counts, limits: Mapping[str, Any]) -> Iterable[str]:
    yield (
        "Aortic-root calcium was measured in contrast-enhanced cardiac CT with Calcohort "
        f"{_code(provenance)}, which follows Minghini et al. [@minghini2023]."
    )
    measured, excluded = (
        f"{n} {'was' if n == 1 else 'were'}" for n in (counts["measured"], counts["excluded"])
    )
    yield (
        f"Of {counts['sheet']} scans, {measured} measured, {excluded} excluded for reasons stated "
        f"and {counts['failed']} failed."
    )
    yield (
        "DICOM series were converted with dcm2niix [@li2016]; geometry and Hounsfield units were "
        "checked against the DICOM headers. Scans needed a slice spacing of at most "
        f"{limits['max_slice_spacing_mm']:g} mm, a pixel spacing of at most "
        f"{limits['max_pixel_spacing_mm']:g} mm, {limits['min_slices']} slices and "
        f"{limits['min_coverage_mm']:g} mm of coverage."
    )


def _networks(provenance: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    if not provenance["weights"]:
        return "The aortic root of every measured scan was given as a mask."
    hashes = ", ".join(f"{n} {w['sha256'][:12]}" for n, w in provenance["weights"].items())
    factor, shape = settings["downscale"]["factor_kji"], settings["crop"]["shape_kji"]
    spacing = settings["resample"]["spacing_mm"]
    spaced = f" resampled to {_times(spacing)} mm" if spacing else ""
    trained = " (default weights, trained on phantoms)" if provenance["default_weights"] else ""
    return (
        "Unless given as a mask, the aortic root was found by two 3D U-Nets [@cicek2016]: the "
        f"first localised it in the scan{spaced} averaged over blocks of {_times(factor)} voxels "
        "(slices × rows × columns), the second segmented it in a crop of "
        f"{_times(shape)} voxels of the scan{spaced}; weights{trained} by SHA-256: {hashes}."
    )


def _measures(measure: MeasureSettings) -> Iterable[str]:
    rules = "; ".join(f"{name} = {_typeset(rule.formula)}" for name, rule in RULES.items())
    smallest = (
        f" Lesions of fewer than {measure.min_lesion_voxels} voxels were left out."
        if measure.min_lesion_voxels > 1
        else ""
    )
    limit_mm3 = measure.max_noise_volume_mm3
    noisy = (
        f" or with so much noise that it alone was expected to give more than {limit_mm3:g} mm³ "
        f"by {measure.mask_rule}"
        if limit_mm3
        else ""
    )
    yield (
        f"The luminance Lm was the mean of a cube of {_times(measure.cube_sides_mm)} mm, "
        "moved from the root's geometric centre towards the sinotubular junction so that it held "
        "contrast-enhanced blood; scans with Lm below "
        f"{measure.min_luminance_hu:g} HU or of 1000 HU and more were excluded, and so were scans "
        f"with metal in the root ({measure.metal_hu:g} HU or more){noisy}."
    )
    yield (
        "Voxels of the root at or above a threshold were calcium; seven threshold rules were "
        f"applied ({rules}; k = {measure.k:g}; F4 to F6 after Bettinger et al. [@bettinger2017]), "
        f"of which {measure.mask_rule} is the main one."
    )
    yield (
        "The volume was the number of voxels times the voxel volume from the image's affine; "
        f"lesions were {measure.connectivity}-connected components.{smallest}"
    )


def _scores(scores: Mapping[str, Any], rule: str) -> Iterable[str]:
    if not scores["passport"]:
        return
    threshold = f"the threshold of {rule}" if scores["contrast"] else "130 HU"
    yield (
        f"From the same mask, at {threshold}, the Agatston score [@agatston1990] (8-connected "
        "lesions of 1 mm² or more in each slice, scaled by slice spacing / 3 mm) with its common "
        "variants and the volume after isotropic interpolation [@callister1998] were computed."
    )
    if scores["mass_calibration"]:
        yield (
            "Mass was the sum of HU times the voxel volume times a calibration factor of "
            f"{scores['mass_calibration']:g} mg/cm³ per HU [@mccollough2007]."
        )
    if scores["contrast"]:
        yield "In the presence of contrast these scores are not comparable with published ones."


def _agreement(choices: Mapping[str, Any]) -> Iterable[str]:
    yield (
        "Agreement was stated as automatic minus reference with limits of agreement at "
        "±1.96 SD [@bland1986] and their exact 95 % confidence intervals [@carkeet2015], "
        "R² = 1 − SS_res/SS_tot about the identity line, the mean absolute error, and the root "
        f"mean square error, with bootstrap-t intervals of {RESAMPLES} resamples [@efron1993]."
    )
    yield (
        "Where errors grew with the amount (slope, or Koenker's test [@koenker1981], p < 0.05), "
        "limits by regression and of ratios were given [@bland1999]."
    )
    yield (
        "Further: ICC(A,1) [@mcgraw1996], Lin's concordance correlation [@lin1989], Deming "
        "regression with jackknife intervals [@linnet1990], and Passing-Bablok regression "
        "[@passing1983]."
    )
    if choices["categories"]:
        cuts = _listed(choices["categories"], lambda cut: ", ".join(f"{c:g}" for c in cut))
        yield f"Categories were compared by linearly weighted kappa [@cohen1968], cut at {cuts}."
    if choices["equivalence_margins"]:
        margins = _listed(choices["equivalence_margins"], lambda margin: f"±{margin:g}")
        yield (
            "Equivalence of the means was tested by two one-sided t tests [@schuirmann1987] with "
            f"margins of {margins}."
        )
    if choices["subgroups"]:
        yield f"Subgroups were made by {', '.join(choices['subgroups'])}."


def _laboratory(own: Mapping[str, Any]) -> Iterable[str]:
    rules = [_typeset(text) for text in (*PUBLISHED.values(), *map(str, own.values()))]
    yield (
        f"Beside F1 to F7, the thresholds {'; '.join(rules)} (HU; outflow: median of the root's "
        "lowest fifth) were scored from the stored voxels of the root; k was fitted to the "
        "reference by the least mean absolute error, with bootstrap percentiles and 10-fold "
        "cross-validation."
    )


def _association(asked: Mapping[str, Any]) -> Iterable[str]:
    binary = [o["column"] for o in asked["outcomes"] if "time" not in o]
    timed = [o["column"] for o in asked["outcomes"] if "time" in o]
    if binary:
        yield (
            f"For {', '.join(binary)}, areas under the ROC curve had DeLong's standard errors and "
            "comparisons [@delong1988] and intervals on the logit scale; odds ratios were of "
            "logistic regression per doubling of calcium volume + 1 mm³."
        )
    if timed:
        yield (
            f"For {', '.join(timed)}, hazard ratios were of Cox regression [@cox1972] per doubling "
            "of calcium volume + 1 mm³, ties after Efron."
        )
    if asked["groups"]:
        yield (
            f"Groups ({', '.join(asked['groups'])}) were compared by the Mann-Whitney or the "
            "Kruskal-Wallis test."
        )
    if binary or timed or asked["groups"]:
        yield "p-values were adjusted after Holm [@holm1979] over all rows of one analysis."


def _software(provenance: Mapping[str, Any]) -> str:
    used = []
    for name, version in provenance["packages"].items():
        key = of_package(name.lower())
        used.append(f"{name} {version}" + (f" [@{key}]" if key else ""))
    return (
        f"Software: Python {provenance['python']}, {', '.join(used)}; configuration SHA-256 "
        f"{provenance['config_hash'][:12]}."
    )


def _listed(by_quantity: Mapping[str, Any], write) -> str:
    return "; ".join(f"{write(v)} {UNITS[q]} ({NAMES[q]})" for q, v in by_quantity.items())


def _typeset(formula: str) -> str:
    return formula.replace("-", MINUS)


def _times(numbers: Iterable[float]) -> str:
    return " × ".join(str(n) for n in numbers)


def _code(provenance: Mapping[str, Any]) -> str:
    text = f"version {provenance['code_version']}"
    if provenance["code_commit"]:
        modified = ", modified" if provenance["code_modified"] else ""
        text += f" (commit {provenance['code_commit'][:12]}{modified})"
    return text
