// A chart: axes with ticks, curves with their bands, a legend that is also the read-out of a cursor.

const HEIGHT = 210;
const TOP = 22;
const BOTTOM = 24;
const FEW = 12; // points, that are marked

function shade(spec, i) {
  if (!spec.ramp) return `var(--c${i % 8})`;
  const share = spec.series.length > 1 ? (100 * i) / (spec.series.length - 1) : 0;
  return `color-mix(in oklch, var(--c1) ${share}%, var(--c0))`;
}

function chart(figure, spec) {
  const series = (spec.series || []).map((s, i) => ({ ...s, colour: shade(spec, i), shown: true }));
  const legend = html("div", figure);
  legend.className = "legend";
  const when = html("span", legend);
  for (const s of series) {
    s.button = html("button", legend);
    s.button.type = "button";
    s.button.setAttribute("aria-pressed", "true");
    html("i", s.button).style.setProperty("--colour", s.colour);
    html("span", s.button, s.name);
    s.value = html("b", s.button);
    s.button.addEventListener("click", () => {
      s.shown = !s.shown;
      s.button.setAttribute("aria-pressed", String(s.shown));
      draw();
    });
  }
  if (spec.level) {
    const told = html("span", legend);
    html("i", told).className = "dashes";
    told.append(`${spec.level[1]} `);
    html("b", told, exact(spec.level[0]));
  }
  const counts = spec.cells && html("span", legend);
  const svg = make("svg", { height: HEIGHT, tabindex: 0, role: "img" }, figure);
  svg.setAttribute("aria-label", `${spec.title}; the arrow keys read its values`);
  const steps = spec.steps || [...new Set(series.flatMap((s) => s.x))].sort((a, b) => a - b);
  let at = steps.length - 1;
  let frame = null;

  function values() {
    const found = [];
    for (const s of series) {
      if (s.shown) found.push(s.y, ...(s.faint ? [s.faint] : []), ...(s.bands || []).flat());
    }
    const all = found.flat().filter((v) => v !== null && (!spec.log || v > 0));
    if (spec.level) all.push(spec.level[0]);
    return all;
  }

  function scales() {
    const all = values();
    let low = all.reduce((a, b) => Math.min(a, b), Infinity);
    let high = all.reduce((a, b) => Math.max(a, b), -Infinity);
    let marks;
    if (spec.cells) {
      [low, high] = [0, Math.max(...spec.cells.map((row) => row.length))];
      marks = [];
    } else if (spec.range) {
      [low, high] = spec.range;
      marks = ticks(low, high, 5);
    } else if (!all.length) {
      [low, high, marks] = [0, 1, []];
    } else if (spec.log) {
      marks = decades(low, high);
      if (marks.length < 2) marks.push(marks[0] * 10);
      [low, high] = [Math.min(low, marks[0]), Math.max(high, marks.at(-1))];
    } else {
      const room = (high - low || Math.abs(high) || 1) * 0.05;
      low = low >= 0 && low < (high - low) / 2 ? 0 : low - room;
      high += room;
      marks = ticks(low, high, 5);
    }
    const labels = marks.map(short);
    const left = Math.max(16, 8 + 7 * Math.max(0, ...labels.map((text) => text.length)));
    const right = figure.clientWidth - 10;
    const [first, last] = [steps[0], Math.max(steps.at(-1), steps[0] + 1)];
    const turn = spec.log ? Math.log10 : (v) => v;
    const tall = (HEIGHT - BOTTOM - TOP) / (turn(high) - turn(low));
    return {
      left, right, marks, labels, first, last,
      x: (step) => left + ((right - left) * (step - first)) / (last - first),
      y: (v) => HEIGHT - BOTTOM - tall * (turn(v) - turn(low)),
      step: (x) => first + ((x - left) * (last - first)) / (right - left),
    };
  }

  const place = (x, y) => `${frame.x(x).toFixed(1)} ${frame.y(y).toFixed(1)}`;

  function path(s, y) {
    let pen = "M";
    let d = "";
    y.forEach((v, i) => {
      if (v === null || (spec.log && v <= 0)) {
        pen = "M";
      } else {
        d += pen + place(s.x[i], v);
        pen = "L";
      }
    });
    return d;
  }

  function band(s, [low, high]) {
    const known = s.x.map((_, i) => i).filter((i) => low[i] !== null && high[i] !== null);
    const edge = (y, places) => places.map((i) => place(s.x[i], y[i]));
    return known.length ? `M${[...edge(high, known), ...edge(low, known.reverse())].join("L")}Z` : "";
  }

  function axes() {
    const { left, right, marks, labels } = frame;
    const floor = HEIGHT - BOTTOM;
    make("text", { x: 0, y: 11 }, svg, spec.unit);
    marks.forEach((mark, i) => {
      make("path", { class: "axis", d: `M${left} ${frame.y(mark)}H${right}` }, svg);
      make("text", { x: left - 6, y: frame.y(mark) + 4, "text-anchor": "end" }, svg, labels[i]);
    });
    make("path", { class: "axis", d: `M${left} ${floor}H${right}` }, svg);
    for (const mark of ticks(frame.first, frame.last, Math.max(2, (right - left) / 90), true)) {
      make("path", { class: "axis", d: `M${frame.x(mark)} ${floor}v4` }, svg);
      const anchor = frame.x(mark) > right - 18 ? "end" : "middle";
      const below = { x: frame.x(mark), y: floor + 17, "text-anchor": anchor };
      make("text", below, svg, mark.toLocaleString("en"));
    }
    make("text", { x: right, y: 11, "text-anchor": "end" }, svg, "over steps");
  }

  function cells() {
    const most = Math.max(...spec.cells.flat(), 1);
    const width = (frame.right - frame.left) / steps.length;
    frame.x = (step) => frame.left + width * (steps.findIndex((s) => s >= step) + 0.5);
    frame.step = (x) => steps[within(Math.floor((x - frame.left) / width))];
    const height = frame.y(0) - frame.y(1);
    spec.cells.forEach((row, i) => row.forEach((count, mode) => {
      const box = { x: frame.left + i * width, y: frame.y(mode + 1), width: width + 0.3, height };
      make("rect", { ...box, fill: "var(--c0)", "fill-opacity": Math.sqrt(count / most) }, svg);
    }));
    const modes = Math.max(...spec.cells.map((row) => row.length));
    for (let mode = 0; mode < modes && modes <= 12; mode++) {
      make("text", { x: frame.left - 5, y: frame.y(mode + 0.5) + 4, "text-anchor": "end" }, svg, mode);
    }
  }

  function draw() {
    svg.replaceChildren();
    frame = scales();
    if (frame.right <= frame.left) return; // hidden, or the window is being resized
    axes();
    if (spec.cells) cells();
    for (const s of series.filter((s) => s.shown)) {
      const pen = { fill: "none", stroke: s.colour, "stroke-linejoin": "round" };
      for (const b of s.bands || []) make("path", { d: band(s, b), fill: s.colour, "fill-opacity": 0.16 }, svg);
      if (s.faint) make("path", { ...pen, d: path(s, s.faint), "stroke-opacity": 0.3 }, svg);
      make("path", { ...pen, d: path(s, s.y), "stroke-width": 1.8 }, svg);
      if (s.x.length > FEW) continue;
      s.y.forEach((v, i) => { // alone, a point is no line
        if (v !== null) make("circle", { cx: frame.x(s.x[i]), cy: frame.y(v), r: 3, fill: s.colour }, svg);
      });
    }
    if (spec.level) {
      make("path", { class: "level", d: `M${frame.left} ${frame.y(spec.level[0])}H${frame.right}` }, svg);
    }
    point();
  }

  // Where the cursor is: a line through the chart, and the values in the legend.
  function point() {
    svg.querySelector(".cursor")?.remove();
    if (at < steps.length - 1) {
      const x = frame.x(steps[at]);
      make("path", { class: "cursor", d: `M${x} ${TOP - 6}V${HEIGHT - BOTTOM}` }, svg);
    }
    when.textContent = `step ${steps[at].toLocaleString("en")}`;
    for (const s of series) s.value.textContent = told(s, steps[at]);
    if (!counts) return;
    const row = spec.cells[at];
    counts.textContent = `${row.filter((n) => n).length} of ${row.length} there: ${row.join(" ")}`;
  }

  function told(s, step) {
    let i = s.x.findIndex((x) => x > step) - 1;
    if (i < -1) i = s.x.length - 1;
    if (i < 0) return "–";
    if (s.faint) return `${exact(s.faint[i])}, mean ${exact(s.y[i])}`;
    if (s.bands) return `${exact(s.y[i])} (${exact(s.bands[0][0][i])} to ${exact(s.bands[0][1][i])})`;
    return exact(s.y[i]);
  }

  function within(i) {
    return Math.min(steps.length - 1, Math.max(0, i));
  }

  function go(to) {
    at = within(to);
    point();
  }

  function nearest(step) {
    let best = 0;
    steps.forEach((s, i) => { if (Math.abs(s - step) < Math.abs(steps[best] - step)) best = i; });
    return best;
  }

  for (const kind of ["pointermove", "pointerdown"]) {
    svg.addEventListener(kind, (event) => {
      go(nearest(frame.step(event.clientX - svg.getBoundingClientRect().left)));
    });
  }
  svg.addEventListener("pointerleave", (event) => { // a finger that is lifted has still pointed
    if (event.pointerType === "mouse") go(steps.length - 1);
  });
  svg.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: steps.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
  if (spec.follow) document.addEventListener("shown", (event) => go(nearest(event.detail)));
  draw();
  new ResizeObserver(draw).observe(figure);
}
