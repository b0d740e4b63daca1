// The game in the plane: D's surface, real and generated points, where G takes a grid, and D's gradient.

function unpack(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Kind(bytes.buffer);
}

// A colour of the page as [r, g, b], in whatever form the style sheet has it.
function colour(name) {
  const canvas = document.createElement("canvas");
  const probe = html("span", document.body);
  probe.style.color = `var(${name})`;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = getComputedStyle(probe).color;
  probe.remove();
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

function plane(root, game) {
  const canvas = root.querySelector("canvas");
  const readout = root.querySelector(".readout");
  const layers = [...root.querySelectorAll("[data-layer]")];
  const side = game.side;
  const real = unpack(game.real, Int16Array);
  const frames = game.frames.map((f) => ({
    surface: f.surface && unpack(f.surface, Float32Array), // of a model with a judge
    points: unpack(f.points, Int16Array),
    arrows: f.arrows && unpack(f.arrows, Float32Array),
    grids: f.grids.map((rows) => rows.map((row) => unpack(row, Int16Array))),
  }));
  const small = document.createElement("canvas");
  small.width = small.height = side;
  let now = 0;
  let colours = null;

  const css = (name, alpha = 1) => `rgb(${colours[name].join(" ")} / ${alpha})`;

  function refresh() {
    colours = {};
    for (const name of ["--c0", "--c1", "--sheet", "--ink", "--soft"]) colours[name] = colour(name);
    draw();
  }

  // D's values as -1 to 1: a probability about 1/2, a critic's number about the middle of its range.
  function range(surface) {
    if (!game.critic) return [0, 1];
    return [surface.reduce((a, b) => Math.min(a, b)), surface.reduce((a, b) => Math.max(a, b))];
  }

  function heat(surface) {
    const pen = small.getContext("2d");
    const picture = pen.createImageData(side, side);
    const [low, high] = range(surface);
    for (let i = 0; i < side * side; i++) {
      const row = side - 1 - Math.floor(i / side);
      const level = (2 * (surface[row * side + (i % side)] - low)) / (high - low || 1) - 1;
      const end = colours[level < 0 ? "--c1" : "--c0"];
      const share = 0.85 * Math.min(1, Math.abs(level));
      const mixed = colours["--sheet"].map((value, k) => value * (1 - share) + end[k] * share);
      picture.data.set([...mixed, 255], 4 * i);
    }
    pen.putImageData(picture, 0, 0);
    return small;
  }

  function draw() {
    const { surface, points, arrows, grids } = frames[now];
    const size = canvas.clientWidth;
    const dense = window.devicePixelRatio || 1;
    canvas.width = canvas.height = Math.round(size * dense);
    const pen = canvas.getContext("2d");
    pen.scale(dense, dense);
    const shown = Object.fromEntries(layers.map((box) => [box.dataset.layer, box.checked]));
    const x = (v) => (size / 2) * (1 + v / game.unit);
    const y = (v) => (size / 2) * (1 - v / game.unit);
    const dot = (list, radius) => {
      pen.beginPath();
      for (let i = 0; i < list.length; i += 2) {
        pen.moveTo(x(list[i]) + radius, y(list[i + 1]));
        pen.arc(x(list[i]), y(list[i + 1]), radius, 0, 7);
      }
    };
    pen.fillStyle = css("--sheet");
    pen.fillRect(0, 0, size, size);
    if (shown.surface) {
      const cell = size / (side - 1); // values belong to places, the first and last to the edges
      pen.imageSmoothingQuality = "high";
      pen.drawImage(heat(surface), -cell / 2, -cell / 2, size + cell, size + cell);
    }
    if (shown.grid) {
      pen.strokeStyle = css("--ink", 0.45);
      pen.lineWidth = 0.9;
      for (const grid of grids) lines(pen, grid, x, y);
    }
    if (shown.real) {
      dot(real, 2.4);
      pen.fillStyle = css("--ink", 0.85);
      pen.fill();
    }
    if (shown.generated) {
      dot(points, 2.6);
      pen.fillStyle = "#ffd84d";
      pen.fill();
      pen.lineWidth = 0.6;
      pen.strokeStyle = "#26221099";
      pen.stroke();
    }
    if (shown.arrows) ascents(pen, arrows, size);
    root.querySelector(".scale").style.visibility = shown.surface ? "visible" : "hidden";
    if (!surface) return;
    const told = game.critic ? range(surface).map((v) => v.toPrecision(3)) : ["0, generated", "1, real"];
    const middle = game.critic ? "the critic’s number" : "D, ½";
    const ends = [told[0], middle, told[1]];
    root.querySelectorAll(".scale span").forEach((span, i) => (span.textContent = ends[i]));
  }

  function lines(pen, rows, x, y) {
    pen.beginPath();
    const line = (list) => list.forEach(([a, b], i) => {
      if (i) pen.lineTo(x(a), y(b));
      else pen.moveTo(x(a), y(b));
    });
    const at = (row, i) => [row[2 * i], row[2 * i + 1]];
    const columns = rows[0].length / 2;
    for (const row of rows) line(Array.from({ length: columns }, (_, i) => at(row, i)));
    if (rows.length > 1) for (let i = 0; i < columns; i++) line(rows.map((row) => at(row, i)));
    pen.stroke();
  }

  // From each point the way that D's value rises, the longest of the frame a fourteenth of the plane.
  function ascents(pen, list, size) {
    const steepness = (i) => Math.hypot(list[i + 2], list[i + 3]);
    let longest = 0;
    for (let i = 0; i < list.length; i += 4) longest = Math.max(longest, steepness(i));
    if (!longest) return;
    pen.strokeStyle = css("--ink", 0.8);
    pen.lineWidth = 1.1;
    pen.beginPath();
    for (let i = 0; i < list.length; i += 4) {
      const [dx, dy] = [list[i + 2], -list[i + 3]].map((v) => ((v / longest) * size) / 14);
      if (Math.hypot(dx, dy) < 1.5) continue;
      const [a, b] = [1 + list[i] / game.extent, 1 - list[i + 1] / game.extent].map((v) => (v * size) / 2);
      const turn = Math.atan2(dy, dx);
      pen.moveTo(a, b);
      pen.lineTo(a + dx, b + dy);
      for (const side of [2.6, -2.6]) {
        pen.moveTo(a + dx, b + dy);
        pen.lineTo(a + dx + 4 * Math.cos(turn + side), b + dy + 4 * Math.sin(turn + side));
      }
    }
    pen.stroke();
  }

  if (frames[0].surface) canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const place = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
    const [column, row] = place.map((v) => Math.min(side - 1, Math.max(0, Math.round(v * (side - 1)))));
    const [px, py] = [column, row].map((i) => (game.extent * ((2 * i) / (side - 1) - 1)).toFixed(2));
    readout.textContent = `D at (${px}, ${py}): ${exact(frames[now].surface[row * side + column])}`;
  });
  for (const box of layers) box.addEventListener("change", draw);
  document.addEventListener("theme", refresh);
  refresh();
  player(root, game.steps, (i, step) => {
    now = i;
    draw();
    document.dispatchEvent(new CustomEvent("shown", { detail: step }));
  });
  new ResizeObserver(draw).observe(canvas.parentElement);
}
