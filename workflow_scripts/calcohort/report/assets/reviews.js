/* The marks of the gallery: where they are kept, and how they become reviews.csv.

Served by review_gallery.py every mark goes to the server, which writes the file. Opened from a
folder, a page cannot write: marks are kept in the browser until they are saved as a file. */
"use strict";

const Reviews = (() => {
  const COLUMNS = ["scan_id", "verdict", "comment", "reviewer", "time_utc", "measurement"];
  const SERVED = location.protocol.startsWith("http");
  const ENDPOINT = "../reviews";
  const KEPT = `calcohort-reviews:${location.pathname}`;
  let measurements = new Map();
  let marks = new Map();
  let unsaved = 0;

  const now = () => `${new Date().toISOString().slice(0, 19)}Z`;
  const holds = (review) => !review.measurement || review.measurement === measurements.get(review.scan_id);
  const byScan = (reviews) => new Map(reviews.map((review) => [review.scan_id, review]));

  async function ask(method, review) {
    const body = review && JSON.stringify(review);
    const headers = body ? { "Content-Type": "application/json" } : {};
    const answer = await fetch(ENDPOINT, { method, body, headers });
    if (!answer.ok) throw new Error((await answer.text()) || answer.statusText);
    return answer.json();
  }

  /** Reviews known to the run, with those that the server or the browser has since; of these scans. */
  async function open(known, scans) {
    measurements = new Map(scans.map(({ id, measurement }) => [id, measurement]));
    marks = byScan(known);
    if (SERVED) {
      marks = byScan(await ask("GET"));
      return;
    }
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    for (const review of kept) {
      const known = marks.get(review.scan_id);
      if ((known?.time_utc ?? "") >= review.time_utc || (!known && !review.verdict)) continue;
      if (review.verdict) marks.set(review.scan_id, review);
      else marks.delete(review.scan_id);
      unsaved += 1;
    }
  }

  /** Mark a scan; an empty verdict takes the mark back. Throws when the server did not save it. */
  async function mark(scanId, verdict, comment, reviewer) {
    const measurement = measurements.get(scanId);
    const review = { scan_id: scanId, verdict, comment, reviewer, time_utc: now(), measurement };
    if (SERVED) await ask("POST", review);
    if (verdict) marks.set(scanId, review);
    else marks.delete(scanId);
    if (SERVED) return;
    const kept = byScan(JSON.parse(localStorage.getItem(KEPT) ?? "[]"));
    localStorage.setItem(KEPT, JSON.stringify([...kept.set(scanId, review).values()]));
    unsaved += 1;
  }

  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  /** The mark of a scan as it is measured now; the one of an earlier measurement. */
  const of = (scanId) => (marks.has(scanId) && holds(marks.get(scanId)) ? marks.get(scanId) : undefined);
  const outdated = (scanId) => (of(scanId) ? undefined : marks.get(scanId));
  const all = () => [...marks.values()].filter(holds);

  /** All marks as the text of reviews.csv. */
  function csv() {
    const rows = [...marks.values()].sort((a, b) => (a.scan_id < b.scan_id ? -1 : 1));
    return [COLUMNS, ...rows.map((row) => COLUMNS.map((column) => cell(row[column] ?? "")))]
      .map((cells) => `${cells.join(",")}\n`)
      .join("");
  }

  /** Save reviews.csv where the user says, or as a download where the browser has no such dialog. */
  async function save() {
    const text = csv();
    if (window.showSaveFilePicker) {
      const file = await window.showSaveFilePicker({ suggestedName: "reviews.csv" });
      const stream = await file.createWritable();
      await stream.write(text);
      await stream.close();
    } else {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      link.download = "reviews.csv";
      link.click();
    }
    unsaved = 0;
  }

  return { SERVED, open, mark, save, csv, of, outdated, all, unsaved: () => unsaved };
})();
