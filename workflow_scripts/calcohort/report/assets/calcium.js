/* Calcium at one threshold, counted as calcohort/measure/lesions.py counts it.

A volume is {hu, root, dims, connectivity, minLesionVoxels, voxelVolumeMm3}: HU and root mask (0 or
1) as flat arrays in NIfTI order (i fastest), dims = [ni, nj, nk]. */
"use strict";

const Calcium = (() => {
  /** Steps [di, dj, dk] to the neighbours that join voxels to a lesion: 6, 18 or 26. */
  function neighbours(connectivity) {
    const most = { 6: 1, 18: 2, 26: 3 }[connectivity];
    const steps = [];
    for (const dk of [-1, 0, 1])
      for (const dj of [-1, 0, 1])
        for (const di of [-1, 0, 1]) {
          const axes = Math.abs(di) + Math.abs(dj) + Math.abs(dk);
          if (axes > 0 && axes <= most) steps.push([di, dj, dk]);
        }
    return steps;
  }

  /** Mask of calcium, its volume in mm³ and its lesions; too small lesions are left out. */
  function measure(volume, thresholdHu) {
    const { hu, root, dims, minLesionVoxels } = volume;
    const threshold = hu instanceof Float32Array ? Math.fround(thresholdHu) : thresholdHu;
    const mask = new Uint8Array(hu.length);
    const found = [];
    for (let index = 0; index < hu.length; index++)
      if (root[index] && hu[index] >= threshold) {
        mask[index] = 1;
        found.push(index);
      }
    const steps = neighbours(volume.connectivity);
    const seen = new Uint8Array(hu.length);
    let lesions = 0;
    let voxels = 0;
    for (const first of found) {
      if (seen[first]) continue;
      const lesion = grow(first, mask, seen, dims, steps);
      if (lesion.length >= minLesionVoxels) {
        lesions += 1;
        voxels += lesion.length;
      } else {
        for (const index of lesion) mask[index] = 0;
      }
    }
    return { mask, lesions, volumeMm3: voxels * volume.voxelVolumeMm3 };
  }

  /** The connected voxels of `mask` from `first` on, marked in `seen`. */
  function grow(first, mask, seen, [ni, nj, nk], steps) {
    const lesion = [first];
    seen[first] = 1;
    for (let next = 0; next < lesion.length; next++) {
      const index = lesion[next];
      const i = index % ni;
      const j = Math.floor(index / ni) % nj;
      const k = Math.floor(index / (ni * nj));
      for (const [di, dj, dk] of steps) {
        const [ii, jj, kk] = [i + di, j + dj, k + dk];
        if (ii < 0 || jj < 0 || kk < 0 || ii >= ni || jj >= nj || kk >= nk) continue;
        const neighbour = ii + ni * (jj + nj * kk);
        if (mask[neighbour] && !seen[neighbour]) {
          seen[neighbour] = 1;
          lesion.push(neighbour);
        }
      }
    }
    return lesion;
  }

  return { measure };
})();
