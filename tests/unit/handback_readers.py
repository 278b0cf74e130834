"""Where masks lie, read from NIfTI by nibabel and from SEG by pydicom, without our code."""

import nibabel as nib
import numpy as np
import pydicom
from scipy.spatial import cKDTree


def points_of_nifti(path):
    """World points (LPS mm, rounded to 0.01) of a mask, by nibabel alone."""
    image = nib.load(path)
    ijk = np.argwhere(np.asarray(image.dataobj) > 0)
    lps = nib.affines.apply_affine(image.affine, ijk) * (-1, -1, 1)
    return points(lps)


def points_of_seg(path):
    """World points of a SEG, by pydicom alone, from each frame's own position."""
    seg = pydicom.dcmread(path)
    shared = seg.SharedFunctionalGroupsSequence[0]
    cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    along_row, along_column = np.array(cosines, float).reshape(2, 3)
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    found = []
    for frame, groups in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        r, c = np.nonzero(frame)
        across = np.outer(c, along_row) * between_columns
        found.append(position + across + np.outer(r, along_column) * between_rows)
    return points(np.concatenate(found))


def points(lps):
    return {tuple(point) for point in np.rint(np.asarray(lps) * 100).astype(int).tolist()}


def near(one, other):
    """Tell whether both sets are the same points to 0.02 mm."""
    if len(one) != len(other):
        return False
    ours, theirs = np.array(sorted(one)), np.array(sorted(other))
    distance, index = cKDTree(theirs).query(ours)
    return distance.max() <= 2 and len(set(index)) == len(index)
