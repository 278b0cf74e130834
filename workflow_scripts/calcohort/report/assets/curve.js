/* The curve of calcium volume against threshold, as SVG: rules, reader, and a mark that moves. */
"use strict";

const Curve = (() => {
  const WIDTH = 460, HEIGHT = 250;
  const LEFT = 58, RIGHT = 12, TOP = 26, BOTTOM = 42;
  const TICKS_MM3 = [0, 1, 10, 100, 1000, 10000, 100000];

  function element(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /** Height of a volume on the axis: log10(1 + mm³), so that 0 has a place. */
  const level = (mm3) => Math.log10(1 + mm3);

  /** Draw into `svg`; returns a function that moves the mark to (threshold in HU, volume in mm³). */
  function draw(svg, { thresholdsHu, volumesMm3, luminanceHu, points }) {
    const low = thresholdsHu[0], high = thresholdsHu[thresholdsHu.length - 1];
    const top = Math.max(level(Math.max(...volumesMm3)), 1);
    const x = (hu) => LEFT + ((Math.min(Math.max(hu, low), high) - low) / (high - low)) * (WIDTH - LEFT - RIGHT);
    const y = (mm3) => HEIGHT - BOTTOM - (level(mm3) / top) * (HEIGHT - TOP - BOTTOM);
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    for (const tick of TICKS_MM3.filter((mm3) => level(mm3) <= top)) {
      svg.append(element("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick) }));
      svg.append(element("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, tick));
    }
    for (let hu = Math.ceil(low / 200) * 200; hu <= high; hu += 200)
      svg.append(element("text", { x: x(hu), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, hu));
    svg.append(element("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, "Threshold (HU)"));
    const up = `rotate(-90) translate(${-(TOP + HEIGHT - BOTTOM) / 2} 13)`;
    svg.append(element("text", { transform: up, "text-anchor": "middle" }, "Calcium (mm³)"));
    svg.append(element("line", { class: "luminance", x1: x(luminanceHu), x2: x(luminanceHu), y1: TOP, y2: HEIGHT - BOTTOM }));
    svg.append(element("text", { x: x(luminanceHu), y: TOP - 12, "text-anchor": "middle" }, "Lm"));
    const line = thresholdsHu.map((hu, n) => `${x(hu).toFixed(1)},${y(volumesMm3[n]).toFixed(1)}`);
    svg.append(element("polyline", { class: "curve", points: line.join(" ") }));
    const kinds = ["rule", "main", "reader"];
    for (const point of [...points].sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind))) {
      const { name, kind, threshold_hu: hu, calcium_volume_mm3: mm3 } = point;
      const plain = kind === "rule";
      const dot = element("circle", { class: kind, cx: x(hu), cy: y(mm3), r: plain ? 3.5 : 5.5 });
      dot.append(element("title", {}, `${name}: ${hu.toFixed(0)} HU, ${mm3.toFixed(1)} mm³`));
      svg.append(dot);
      if (!plain) svg.append(element("text", { x: x(hu) + 8, y: y(mm3) - 7 }, name));
    }
    const mark = element("g", { class: "mark" });
    const upright = element("line", { y1: TOP, y2: HEIGHT - BOTTOM });
    const ring = element("circle", { r: 7 });
    mark.append(upright, ring);
    svg.append(mark);
    return (hu, mm3) => {
      upright.setAttribute("x1", x(hu));
      upright.setAttribute("x2", x(hu));
      ring.setAttribute("cx", x(hu));
      ring.setAttribute("cy", y(mm3));
    };
  }

  return { draw };
})();
