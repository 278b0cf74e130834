/* The gallery: a list of scans that draws only the rows in view, one picture at a time, and marks. */
"use strict";

const ROW_PX = 30;
const AROUND_ROWS = 8;
const AHEAD = [1, 2, 3, -1];
const PAGE = 10;
const SIGNS = { accepted: "✓", rejected: "✗", undecided: "?" };
const NUMBERS = [
  ["volume_mm3", "Calcium", "mm³", 1],
  ["threshold_hu", "Threshold", "HU", 0],
  ["luminance_hu", "Luminance Lm", "HU", 0],
  ["root_ml", "Root", "ml", 1],
  ["difference_mm3", "Minus reader", "mm³", 1],
];
const descending = (key) => (a, b) => (key(b) ?? -Infinity) - (key(a) ?? -Infinity) || a.place - b.place;
const ORDERS = {
  sheet: (a, b) => a.place - b.place,
  name: (a, b) => (a.id < b.id ? -1 : 1),
  volume: descending((scan) => scan.volume_mm3),
  difference: descending((scan) => (scan.difference_mm3 == null ? null : Math.abs(scan.difference_mm3))),
  luminance: descending((scan) => scan.luminance_hu),
  root: descending((scan) => scan.root_ml),
  flags: descending((scan) => scan.flags.length),
};

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const scans = data.scans.map((scan, place) => ({ ...scan, place }));
const pictures = new Map();
let shown = scans;
let at = 0;

const current = () => shown[at];

function make(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/* The list. */

function drawRows() {
  const list = byId("list");
  const first = Math.max(Math.floor(list.scrollTop / ROW_PX) - AROUND_ROWS, 0);
  const last = Math.min(Math.ceil((list.scrollTop + list.clientHeight) / ROW_PX) + AROUND_ROWS, shown.length);
  const rows = shown.slice(first, last).map((scan, offset) => {
    const place = first + offset;
    const row = make("div", "row", "");
    const verdict = Reviews.of(scan.id)?.verdict;
    row.id = `row-${place}`;
    row.style.top = `${place * ROW_PX}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", place === at);
    row.setAttribute("aria-posinset", place + 1);
    row.setAttribute("aria-setsize", shown.length);
    row.setAttribute("aria-label", [scan.id, scan.status, scan.flags.length ? "outlier" : "", verdict].filter(Boolean).join(", "));
    row.append(make("span", "mark", SIGNS[verdict] ?? ""), make("span", "id", scan.id));
    row.append(make("span", "", scan.flags.length ? "▲" : ""), make("span", "", scan.status));
    row.addEventListener("click", () => go(place));
    return row;
  });
  byId("rows").replaceChildren(...rows);
  if (shown.length) list.setAttribute("aria-activedescendant", `row-${at}`);
  else list.removeAttribute("aria-activedescendant");
}

function scrollToCurrent() {
  const list = byId("list");
  const top = at * ROW_PX;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW_PX > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW_PX - list.clientHeight;
}

function applyFilters() {
  const value = (id) => byId(id).value;
  const keep = current();
  const search = value("search").trim().toLowerCase();
  const verdictOf = (scan) => Reviews.of(scan.id)?.verdict ?? "none";
  shown = scans.filter(
    (scan) =>
      scan.id.toLowerCase().includes(search) &&
      (!value("status") || scan.status === value("status")) &&
      (!value("reason") || scan.reason === value("reason")) &&
      (!value("verdict") || verdictOf(scan) === value("verdict")) &&
      (!value("outlier") || scan.flags.some(({ kind }) => value("outlier") === "any" || kind === value("outlier"))),
  );
  shown.sort(ORDERS[value("order")]);
  byId("rows").style.height = `${shown.length * ROW_PX}px`;
  byId("count").textContent = `${shown.length} of ${scans.length} scans`;
  go(Math.max(shown.indexOf(keep), 0));
}

/* The scan. */

/** The picture of a scan as an element of its own, so that it is never seen under another's name. */
function pictureOf(scan) {
  if (!pictures.has(scan.id)) {
    const image = new Image(1000, 700);
    image.alt = `CT of scan ${scan.id} in three planes, with the root and calcium where they were found; ${scan.status}`;
    image.addEventListener("error", () => image.replaceWith(make("p", "", `There is no picture of ${scan.id}.`)));
    image.src = `../scans/${scan.id}/qc.png`;
    pictures.set(scan.id, image);
  }
  return pictures.get(scan.id);
}

function keepNearPictures() {
  const near = [0, ...AHEAD].map((step) => shown[at + step]).filter(Boolean);
  for (const scan of near) pictureOf(scan).decode().catch(() => {});
  const ids = new Set(near.map((scan) => scan.id));
  for (const id of pictures.keys()) if (!ids.has(id)) pictures.delete(id);
}

function drawNumbers(scan) {
  byId("numbers").replaceChildren(
    ...NUMBERS.filter(([key]) => scan[key] != null).map(([key, name, unit, digits]) => {
      const pair = make("div", "", "");
      pair.append(make("dt", "", name), make("dd", "", `${scan[key].toFixed(digits)} ${unit}`));
      return pair;
    }),
  );
}

function drawScan() {
  const scan = current();
  for (const id of ["name", "outcome", "outdated"]) byId(id).textContent = "";
  for (const id of ["frame", "flags", "numbers"]) byId(id).replaceChildren();
  for (const control of document.querySelectorAll(".marking button, #comment")) control.disabled = !scan;
  byId("open").hidden = !scan || !data.scan_pages;
  if (!scan) return;
  byId("name").textContent = scan.id;
  byId("outcome").textContent = scan.reason ? `${scan.status} at ${scan.stage}: ${scan.reason}. ${scan.detail}` : scan.status;
  byId("outcome").className = `status ${scan.status}`;
  byId("open").href = `../scans/${scan.id}/scan.html`;
  byId("frame").append(pictureOf(scan));
  byId("flags").append(...scan.flags.map(({ kind, why }) => make("li", kind, why)));
  drawNumbers(scan);
  drawMark(scan);
  keepNearPictures();
  history.replaceState(null, "", `#${scan.id}`);
}

function drawMark(scan) {
  const mark = Reviews.of(scan.id);
  const before = Reviews.outdated(scan.id);
  byId("comment").value = mark?.comment ?? "";
  byId("outdated").textContent = before
    ? `Earlier mark: ${before.verdict} by ${before.reviewer || "somebody"} on ${before.time_utc.slice(0, 10)}, before it was measured anew${before.comment && ": "}${before.comment}. Look again.`
    : "";
  for (const button of document.querySelectorAll("[data-verdict]"))
    button.setAttribute("aria-pressed", button.dataset.verdict === mark?.verdict);
}

function drawProgress() {
  const count = (verdict) => Reviews.all().filter((review) => review.verdict === verdict).length;
  const [accepted, rejected, undecided] = ["accepted", "rejected", "undecided"].map(count);
  const left = scans.length - accepted - rejected - undecided;
  byId("progress").textContent = `${accepted} accepted, ${rejected} rejected, ${undecided} undecided, ${left} not looked at`;
}

function go(place) {
  keepComment();
  at = Math.min(Math.max(place, 0), Math.max(shown.length - 1, 0));
  scrollToCurrent();
  drawRows();
  drawScan();
}

/* Marks. */

function tell(text, failed) {
  byId("saved").textContent = text;
  byId("saved").className = failed ? "failed" : "";
}

/** Mark a scan and tell how it went; whether the mark is kept. */
async function mark(scan, verdict, comment) {
  let kept = true;
  try {
    await Reviews.mark(scan.id, verdict, comment.trim(), byId("reviewer").value.trim());
    tell(Reviews.SERVED ? `${scan.id} saved` : `${Reviews.unsaved()} not yet saved to a file`, false);
  } catch (problem) {
    kept = false;
    tell(`${scan.id} was NOT saved: ${problem.message}`, true);
  }
  drawProgress();
  drawRows();
  if (kept && scan === current()) drawMark(scan);
  return kept;
}

async function decide(verdict) {
  const scan = current();
  if (!scan) return;
  const kept = await mark(scan, verdict, verdict ? byId("comment").value : "");
  if (kept && verdict && byId("advance").checked && scan === current()) go(at + 1);
}

/** Keep a changed comment: with the scan's verdict, or as undecided where it has none. */
function keepComment() {
  const scan = scans.find(({ id }) => id === byId("name").textContent);
  if (!scan) return;
  const known = Reviews.of(scan.id);
  const comment = byId("comment").value;
  if (comment.trim() === (known?.comment ?? "")) return;
  const verdict = known?.verdict ?? "undecided";
  mark(scan, verdict === "undecided" && !comment.trim() ? "" : verdict, comment);
}

/* Keys and buttons. */

const KEYS = {
  ArrowRight: () => go(at + 1),
  ArrowDown: () => go(at + 1),
  ArrowLeft: () => go(at - 1),
  ArrowUp: () => go(at - 1),
  PageDown: () => go(at + PAGE),
  PageUp: () => go(at - PAGE),
  Home: () => go(0),
  End: () => go(shown.length - 1),
  a: () => decide("accepted"),
  r: () => decide("rejected"),
  u: () => decide(""),
  c: () => byId("comment").focus(),
  Enter: () => byId("open").hidden || byId("open").click(),
};

function connect() {
  document.addEventListener("keydown", (event) => {
    if (event.target.id === "comment" && ["Escape", "Enter"].includes(event.key)) byId("list").focus();
    else if (event.target.matches("input:not([type=checkbox]), select") || event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === "Enter" && event.target.matches("button, a")) return;
    else if (KEYS[event.key]) KEYS[event.key]();
    else return;
    event.preventDefault();
  });
  let drawing = false;
  byId("list").addEventListener("scroll", () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      drawRows();
    });
  });
  byId("filters").addEventListener("input", applyFilters);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("comment").addEventListener("change", keepComment);
  for (const button of document.querySelectorAll("[data-verdict]"))
    button.addEventListener("click", () => decide(button.dataset.verdict));
  byId("unmark").addEventListener("click", () => decide(""));
  byId("reviewer").value = localStorage.getItem("calcohort-reviewer") ?? "";
  byId("reviewer").addEventListener("change", (event) => localStorage.setItem("calcohort-reviewer", event.target.value));
  byId("save").hidden = Reviews.SERVED;
  byId("save").addEventListener("click", async () => {
    try {
      await Reviews.save();
      tell("Saved. Put the file where `reviews` in config.yaml says.", false);
    } catch (problem) {
      tell(`Not saved: ${problem.message}`, true);
    }
  });
  window.addEventListener("resize", drawRows);
  window.addEventListener("hashchange", goToHash);
}

function goToHash() {
  const place = shown.findIndex((scan) => scan.id === decodeURIComponent(location.hash.slice(1)));
  go(Math.max(place, 0));
}

async function main() {
  try {
    await Reviews.open(data.reviews, data.scans);
  } catch (problem) {
    tell(`The reviews cannot be read: ${problem.message}`, true);
    return;
  }
  connect();
  drawProgress();
  if (Reviews.unsaved()) tell(`${Reviews.unsaved()} marks since this page was written`, false);
  const asked = location.hash;
  applyFilters();
  history.replaceState(null, "", asked || location.hash);
  goToHash();
  byId("list").focus();
  document.documentElement.dataset.ready = "yes";
}

main();
