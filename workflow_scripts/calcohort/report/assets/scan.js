/* The page of one scan: NiiVue shows crop, root and calcium; the threshold's numbers beside it. */
"use strict";

const MARGIN_OF_SLIDER_HU = 50;
const ROOT = { R: [0, 86], G: [0, 180], B: [0, 233], A: [0, 255], I: [0, 255] };
const CALCIUM = { R: [0, 230], G: [0, 159], B: [0, 0], A: [0, 255], I: [0, 255] };
const STEPS = {
  ArrowLeft: [1, 0, 0],
  ArrowRight: [-1, 0, 0],
  ArrowUp: [0, 1, 0],
  ArrowDown: [0, -1, 0],
  PageUp: [0, 0, 1],
  PageDown: [0, 0, -1],
};

const byId = (id) => document.getElementById(id);
const opacityOf = (layer) => byId(`${layer}-opacity`).valueAsNumber;
const embedded = (id) => byId(id).textContent.trim();

/** The viewer with its three images; `show(mask)` changes the calcium. */
async function openViewer(canvas) {
  const viewer = new niivue.Niivue({
    isRadiologicalConvention: true,
    sagittalNoseLeft: true,
    backColor: [0, 0, 0, 1],
    crosshairColor: [1, 1, 1, 0.55],
    crosshairGap: 8,
    crosshairWidth: 0.4,
    fontMinPx: 18,
    fontColor: [1, 1, 1, 1],
    showAllOrientationMarkers: true,
    multiplanarLayout: niivue.MULTIPLANAR_TYPE.GRID,
    multiplanarShowRender: niivue.SHOW_RENDER.NEVER,
    dragAndDropEnabled: false,
    logLevel: "error",
    loadingText: "",
  });
  await viewer.attachToCanvas(canvas);
  viewer.addColormap("root", ROOT);
  viewer.addColormap("calcium", CALCIUM);
  const open = (name, base64, colormap, low, high, opacity) =>
    niivue.NVImage.loadFromBase64({
      name: `${name}.nii.gz`, base64, colormap, opacity, cal_min: low, cal_max: high, trustCalMinMax: true,
    });
  const ct = await open("ct", embedded("ct"), "gray", -250, 1250, opacityOf("ct"));
  const root = await open("root", embedded("root"), "root", 0, 1, opacityOf("root"));
  const calcium = await open("calcium", embedded("root"), "calcium", 0, 1, opacityOf("calcium"));
  for (const image of [ct, root, calcium]) viewer.addVolume(image);
  viewer.setSliceType(viewer.sliceTypeMultiplanar);
  const show = (mask) => {
    calcium.img.set(mask);
    viewer.updateGLVolume();
  };
  return { viewer, ct, root, show };
}

/** Start where the calcium is brightest; without calcium the crosshair stays in the middle. */
function goToPeak(viewer, { hu, dims }, mask) {
  let peak = -1;
  for (let index = 0; index < hu.length; index++)
    if (mask[index] && (peak < 0 || hu[index] > hu[peak])) peak = index;
  if (peak < 0) return;
  const [ni, nj] = dims;
  const voxel = [peak % ni, Math.floor(peak / ni) % nj, Math.floor(peak / (ni * nj))];
  viewer.scene.crosshairPos = viewer.vox2frac(voxel);
  viewer.updateGLVolume();
}

/** Threshold controls that move together; `change(hu)` is called with the exact threshold. */
function connectThreshold(scan, change) {
  const slider = byId("threshold"), box = byId("threshold-box");
  const buttons = [...document.querySelectorAll("button[data-hu]")];
  const all = buttons.map((button) => Number(button.dataset.hu));
  slider.min = Math.floor(Math.min(scan.curve.thresholds_hu[0], ...all) - MARGIN_OF_SLIDER_HU);
  slider.max = Math.ceil(Math.max(scan.curve.thresholds_hu.at(-1), ...all) + MARGIN_OF_SLIDER_HU);
  const set = (hu, source) => {
    if (!Number.isFinite(hu)) return;
    if (source !== slider) slider.value = Math.round(hu);
    if (source !== box) box.value = Number(hu.toFixed(1));
    slider.setAttribute("aria-valuetext", `${hu.toFixed(0)} HU`);
    for (const button of buttons) button.setAttribute("aria-pressed", Number(button.dataset.hu) === hu);
    change(hu);
  };
  slider.addEventListener("input", () => set(slider.valueAsNumber, slider));
  box.addEventListener("input", () => set(box.valueAsNumber, box));
  for (const button of buttons) button.addEventListener("click", () => set(Number(button.dataset.hu)));
  return set;
}

function connectView({ viewer }, canvas) {
  ["ct", "root", "calcium"].forEach((layer, number) =>
    byId(`${layer}-opacity`).addEventListener("input", () => viewer.setOpacity(number, opacityOf(layer))),
  );
  byId("view").addEventListener("change", (event) => viewer.setSliceType(viewer[event.target.value]));
  byId("voxels").addEventListener("change", (event) => viewer.setInterpolation(event.target.checked));
  viewer.onLocationChange = ({ vox, values }) => {
    byId("where").textContent = `Crosshair: ${Math.round(values[0].value)} HU at voxel ${vox.map(Math.round).join(", ")}`;
  };
  canvas.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    viewer.moveCrosshairInVox(...step);
  }, { capture: true });
}

async function main() {
  const scan = JSON.parse(embedded("scan"));
  const canvas = byId("viewer");
  let opened;
  try {
    opened = await openViewer(canvas);
  } catch (problem) {
    byId("where").textContent = `The viewer cannot be shown (it needs WebGL 2): ${problem.message}`;
    return;
  }
  const [, ni, nj, nk] = opened.ct.hdr.dims;
  const volume = {
    hu: opened.ct.img,
    root: opened.root.img.slice(),
    dims: [ni, nj, nk],
    connectivity: scan.connectivity,
    minLesionVoxels: scan.min_lesion_voxels,
    voxelVolumeMm3: scan.voxel_volume_mm3,
  };
  const moveMark = Curve.draw(byId("curve"), {
    thresholdsHu: scan.curve.thresholds_hu,
    volumesMm3: scan.curve.volumes_mm3,
    luminanceHu: scan.luminance_hu,
    points: scan.points,
  });
  const set = connectThreshold(scan, (hu) => {
    const found = Calcium.measure(volume, hu);
    byId("volume").value = found.volumeMm3.toFixed(1);
    byId("lesions").value = found.lesions;
    moveMark(hu, found.volumeMm3);
    opened.show(found.mask);
  });
  connectView(opened, canvas);
  set(scan.threshold_hu);
  goToPeak(opened.viewer, volume, Calcium.measure(volume, scan.threshold_hu).mask);
  document.documentElement.dataset.ready = "yes";
}

main();
